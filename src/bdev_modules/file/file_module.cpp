#include "bdev_modules/file/file_module.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/error_context.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/bdev/service.hpp>

#include <memory>
#include <utility>

#include "bdev_modules/file/backing_file.hpp"
#include "bdev_modules/file/file_device.hpp"
#include "bdev_modules/file/file_settings.hpp"
#include "bdev_modules/file/run_blocking.hpp"
#include "bdev_modules/file/worker_pool.hpp"

namespace spdkio::bdev {
namespace file {
namespace {

Task<Bdev> create(FileSettings settings) {
  const ErrorContext doing("opening the file {}", settings.filename);
  Service& service = Service::current();
  auto pool = WorkerPool::shared();
  auto opening = run_blocking(pool, [&settings] { return BackingFile::open(settings); });
  auto opened = co_await std::move(opening);
  auto device = std::make_unique<FileDevice>(settings, std::move(opened), std::move(pool));
  auto registering = service.register_device(std::move(device));
  auto state = co_await std::move(registering);
  co_return Bdev(std::move(state));
}

/// The device of that name, if it is one of ours.
std::shared_ptr<DeviceState> find(const std::string& name, std::optional<FileStyle> style, const char* operation) {
  auto state = Service::current().find(name);
  if (state == nullptr) {
    throw Error(std::errc::no_such_device, "there is no such bdev").with_operation(operation).with_device(name);
  }
  const bool aio = state->product_name() == FileDevice::product_name_of(FileStyle::aio);
  const bool uring = state->product_name() == FileDevice::product_name_of(FileStyle::uring);
  if ((aio && style != FileStyle::uring) || (uring && style != FileStyle::aio)) return state;
  throw Error(std::errc::no_such_device, "it is a bdev of another kind, " + state->product_name())
      .with_operation(operation)
      .with_device(name);
}

}  // namespace

Task<> remove(std::string name, std::optional<FileStyle> style) {
  const auto state = find(name, style, "delete_file");
  auto removing = Service::current().unregister_device(state->name());
  co_await std::move(removing);
}

Task<BlockCount> rescan(std::string name, std::optional<FileStyle> style) {
  const auto state = find(name, style, "rescan_file");
  auto backing = FileDevice::find_file(state->name());
  if (backing == nullptr) {
    throw Error(std::errc::no_such_device, "the bdev is being removed").with_operation("rescan_file").with_device(name);
  }
  auto looking = run_blocking(WorkerPool::shared(), [backing] { return backing->current_size(); });
  const std::uint64_t bytes = co_await std::move(looking);
  const BlockCount blocks{bytes / backing->block_size()};
  if (blocks == BlockCount{0}) {
    log::warn("bdev '{}': '{}' has no size any more; the bdev is removed", state->name(), backing->filename());
    auto removing = Service::current().unregister_device(state->name());
    co_await std::move(removing);
  } else if (blocks != state->num_blocks()) {
    log::info("bdev '{}': resized from {} to {} blocks", state->name(), state->num_blocks().value, blocks.value);
    Service::current().notify_resize(state->name(), blocks);
  }
  co_return blocks;
}

}  // namespace file

Task<Bdev> create_file(const FileOptions& options) { return file::create(file::FileSettings(options)); }

Task<> delete_file(std::string_view name) { return file::remove(std::string(name), std::nullopt); }

Task<BlockCount> rescan_file(std::string_view name) { return file::rescan(std::string(name), std::nullopt); }

}  // namespace spdkio::bdev
