#include "bdev_modules/file/reset_request.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/bdev/channel_slot.hpp>
#include <spdkio/runtime/thread.hpp>

#include <cerrno>
#include <new>
#include <utility>

#include "bdev_modules/file/request_head.hpp"

namespace spdkio::bdev::file {
namespace {

Task<> reset(Io& io, std::shared_ptr<ChannelList> channels) {
  IoStatus status;
  try {
    auto draining = ChannelList::drain_all(std::move(channels));
    co_await std::move(draining);
  } catch (const Error& error) {
    status = IoStatus::from(error);
  }
  io.complete(status);
}

}  // namespace

void submit_reset(Io& io, std::shared_ptr<ChannelList> channels) noexcept {
  ::new (static_cast<void*>(&head_of(io))) RequestHead{.stage = Stage::reset};
  try {
    static_cast<void>(CurrentThread::spawn(reset(io, std::move(channels)), "file reset"));
  } catch (...) {
    io.complete(IoStatus::system(ENOMEM, Outcome::failed));
  }
}

}  // namespace spdkio::bdev::file
