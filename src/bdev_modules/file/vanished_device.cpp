#include "bdev_modules/file/vanished_device.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/runtime/thread.hpp>

#include <cerrno>

namespace spdkio::bdev::file {
namespace {

Task<> remove_bdev(std::shared_ptr<BackingFile> file) {
  log::error("bdev '{}': '{}' is gone; the bdev is removed", file->device_name(), file->filename());
  try {
    auto removing = Service::current().unregister_device(file->device_name());
    co_await std::move(removing);
  } catch (const Error& error) {
    // Somebody else removes it, or the engine stops.
    log::debug("bdev '{}': {}", file->device_name(), error.what());
  }
}

}  // namespace

IoStatus failure_status(const BackingFile& file, int errno_value) noexcept {
  return IoStatus::system(file.vanished() ? ENODEV : errno_value);
}

void remove_if_vanished(const std::shared_ptr<BackingFile>& file, const IoStatus& status) noexcept {
  if (status != IoStatus::system(ENODEV) || !file->start_removal()) return;
  try {
    static_cast<void>(CurrentThread::spawn(remove_bdev(file), "removal of a file bdev"));
  } catch (...) {
    log::error("bdev '{}': '{}' is gone, and the bdev can't be removed for lack of memory", file->device_name(),
               file->filename());
  }
}

}  // namespace spdkio::bdev::file
