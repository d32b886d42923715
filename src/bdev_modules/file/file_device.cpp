#include "bdev_modules/file/file_device.hpp"

#include <spdkio/base/log.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "bdev_modules/file/option_names.hpp"
#include "bdev_modules/file/ring.hpp"
#include "bdev_modules/file/threaded_channel.hpp"
#include "bdev_modules/file/uring_channel.hpp"

namespace spdkio::bdev::file {
namespace {

Geometry geometry_of(const BackingFile& file) {
  Geometry geometry;
  geometry.block_size = file.block_size();
  geometry.num_blocks = file.size_at_open() / file.block_size();
  geometry.buffer_alignment = file.alignment();
  geometry.physical_block_size = file.physical_block_size();
  geometry.volatile_write_cache = true;
  geometry.rotational = file.rotational();
  geometry.read_only = file.read_only();
  return geometry;
}

bool io_uring_switched_off() {
  const char* value = std::getenv("SPDKIO_NO_IO_URING");
  return value != nullptr && *value != '\0' && std::string_view(value) != "0";
}

/// The files of all devices, for `rescan`, which must not hold on to a Device that another Thread removes.
struct OpenFiles {
  std::mutex mutex;
  std::vector<std::shared_ptr<BackingFile>> files;
  static OpenFiles& instance() {
    static OpenFiles open_files;
    return open_files;
  }
};

}  // namespace

FileDevice::FileDevice(const FileSettings& settings, std::shared_ptr<BackingFile> file,
                       std::shared_ptr<WorkerPool> pool)
    : Device(settings.name, std::string(product_name_of(settings.style)), geometry_of(*file)),
      settings_(settings),
      file_(std::move(file)),
      pool_(std::move(pool)),
      channels_(std::make_shared<ChannelList>()) {
  set_uuid(settings.uuid.is_nil() ? Uuid::random() : settings.uuid);
  OpenFiles& open_files = OpenFiles::instance();
  const std::lock_guard lock(open_files.mutex);
  open_files.files.push_back(file_);
}

FileDevice::~FileDevice() {
  OpenFiles& open_files = OpenFiles::instance();
  const std::lock_guard lock(open_files.mutex);
  std::erase(open_files.files, file_);
}

std::shared_ptr<BackingFile> FileDevice::find_file(const std::string& name) {
  OpenFiles& open_files = OpenFiles::instance();
  const std::lock_guard lock(open_files.mutex);
  // The oldest: a second one of the same name is about to be refused.
  const auto found = std::ranges::find(open_files.files, name, &BackingFile::device_name);
  return found != open_files.files.end() ? *found : nullptr;
}

std::string_view FileDevice::product_name_of(FileStyle style) noexcept {
  return style == FileStyle::aio ? "AIO disk" : "URING bdev";
}

bool FileDevice::supports(IoType type) const noexcept {
  const bool writable = !file_->read_only();
  switch (type) {
    case IoType::read:
    case IoType::flush:
    case IoType::reset: return true;
    case IoType::write:
    case IoType::copy: return writable;
    case IoType::write_zeroes: return writable && settings_.fallocate;
    case IoType::unmap: return writable && settings_.fallocate && file_->can_unmap();
    case IoType::seek_data:
    case IoType::seek_hole: return file_->kind() == FileKind::regular;
    default: return false;
  }
}

std::unique_ptr<Channel> FileDevice::make_channel() {
  const bool threads = settings_.backend == FileBackend::threads ||
                       (settings_.backend == FileBackend::automatic && io_uring_switched_off());
  if (!threads) {
    auto ring = Ring::acquire();
    if (ring) return std::make_unique<UringChannel>(std::move(*ring), file_, pool_, channels_);
    if (settings_.backend == FileBackend::io_uring) {
      throw ring.error().with_device(name()).with_context("opening a channel to '" + file_->filename() + "'");
    }
    static std::atomic<bool> said{false};
    if (!said.exchange(true)) log::warn("files are reached by helper threads: {}", ring.error().what());
  }
  return std::make_unique<ThreadedChannel>(file_, pool_, channels_);
}

nlohmann::ordered_json FileDevice::driver_specific() const {
  nlohmann::ordered_json info{{"filename", file_->filename()}};
  if (settings_.style == FileStyle::aio) {
    info["block_size_override"] = settings_.block_size != 0;
    info["readonly"] = file_->read_only();
    info["fallocate"] = settings_.fallocate;
    info["nowait"] = settings_.nowait;
  }
  info["direct"] = file_->direct();
  return {{settings_.style == FileStyle::aio ? "aio" : "uring", std::move(info)}};
}

nlohmann::ordered_json FileDevice::config() const {
  const bool aio = settings_.style == FileStyle::aio;
  nlohmann::ordered_json params{{"name", name()}, {"filename", file_->filename()}};
  // Detection gives the same again, unless the file has grown to another multiple meanwhile.
  if (settings_.block_size != 0 || !aio) params["block_size"] = file_->block_size();
  if (aio) {
    params["readonly"] = file_->read_only();
    params["fallocate"] = settings_.fallocate;
    params["nowait"] = settings_.nowait;
  } else if (file_->read_only()) {
    params["readonly"] = true;
  }
  params["uuid"] = uuid().to_string();
  if (settings_.direct != DirectIo::automatic) params["direct"] = rpc::JsonField<DirectIo>::write(settings_.direct);
  if (settings_.backend != FileBackend::automatic)
    params["backend"] = rpc::JsonField<FileBackend>::write(settings_.backend);
  if (settings_.round_down) params["round_down"] = true;
  if (settings_.rest_expected) params["rest_expected"] = true;
  if (!aio && !settings_.fallocate) params["fallocate"] = false;
  return {{"method", aio ? "bdev_aio_create" : "bdev_uring_create"}, {"params", std::move(params)}};
}

}  // namespace spdkio::bdev::file
