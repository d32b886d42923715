#include "bdev_modules/file/channel_list.hpp"

#include <spdkio/base/error.hpp>

#include <utility>

namespace spdkio::bdev::file {
namespace {

Task<> drain_on(ThreadHandle thread, std::shared_ptr<InFlight> in_flight) {
  try {
    co_await resume_on(std::move(thread));
  } catch (const Error&) {
    co_return;  // the Thread has ended, and its requests before it
  }
  auto draining = InFlight::drain(std::move(in_flight));
  co_await std::move(draining);
}

}  // namespace

void ChannelList::add(std::shared_ptr<InFlight> in_flight) {
  Entry entry{CurrentThread::handle(), std::move(in_flight)};
  const std::lock_guard lock(mutex_);
  entries_.push_back(std::move(entry));
}

void ChannelList::remove(const std::shared_ptr<InFlight>& in_flight) noexcept {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const Entry& entry) { return entry.in_flight == in_flight; });
}

std::vector<ChannelList::Entry> ChannelList::snapshot() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

Task<> ChannelList::drain_all(std::shared_ptr<ChannelList> self) {
  for (const Entry& entry : self->snapshot()) {
    auto step = drain_on(entry.thread, entry.in_flight);
    co_await std::move(step);
  }
}

}  // namespace spdkio::bdev::file
