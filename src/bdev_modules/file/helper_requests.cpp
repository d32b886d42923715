#include "bdev_modules/file/helper_requests.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/bdev/channel_slot.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <cerrno>
#include <new>
#include <utility>

#include "bdev_modules/file/blocking_io.hpp"
#include "bdev_modules/file/vanished_device.hpp"

namespace spdkio::bdev::file {

HelperRequests::Request::Request(HelperRequests& owner, Io& io) noexcept : done(io), requests(&owner) {
  stage = Stage::helper;
  execute = on_helper;
}

HelperRequests::HelperRequests(std::shared_ptr<BackingFile> file, std::shared_ptr<WorkerPool> pool,
                               std::shared_ptr<InFlight> in_flight)
    : file_(std::move(file)),
      pool_(std::move(pool)),
      in_flight_(std::move(in_flight)),
      home_(detail::ThreadCore::require_current("io_channel").mailbox()) {}

void HelperRequests::submit(Io& io) noexcept {
  auto& request = *::new (static_cast<void*>(&io.context<Request>())) Request(*this, io);
  in_flight_->started(request);
  if (pool_->submit(request)) return;
  in_flight_->ended(request);
  file_->report_failure("starting a helper thread for an operation", io.lba * file_->block_size(), EAGAIN);
  io.complete(IoStatus::system(EAGAIN, Outcome::never_submitted));
}

void HelperRequests::abort(Io& io) noexcept {
  Request& request = io.context<Request>();
  if (!pool_->withdraw(request)) return;
  in_flight_->ended(request);
  io.complete(IoStatus::cancelled(Outcome::never_submitted));
}

void HelperRequests::on_helper(WorkerJob& job) noexcept {
  Request& request = static_cast<Request&>(job);
  HelperRequests& requests = *request.requests;
  request.status = execute_blocking(*requests.file_, *request.done.io);
  // Once pushed, the request may end, and with it the channel and the Thread.
  const auto home = requests.home_;
  const auto file = requests.file_;
  if (!home->push(request.done)) {
    log::critical("bdev '{}': thread '{}' ended before its request", file->device_name(), home->name());
  }
}

void HelperRequests::Done::run() noexcept {
  Request& request = io->context<Request>();
  request.requests->in_flight_->ended(request);
  if (!request.status.ok()) [[unlikely]]
    remove_if_vanished(request.requests->file_, request.status);
  io->complete(request.status);
}

}  // namespace spdkio::bdev::file
