#include "bdev_modules/nvme/thread_queue.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/thread.hpp>
#include <spdkio/runtime/thread_core.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <map>
#include <utility>

#include "nvme/keeping.hpp"

namespace spdkio::bdev::nvme_disk {
namespace {

using Known = std::map<const nvme::ControllerCore*, std::weak_ptr<ThreadQueue>>;

/// The target has given the host up, after a pause in its keep-alives say, and this queue heard of it before the admin
/// queue did: Connect finds no controller of that number.
bool knows_us_no_more(const Error& error) {
  const auto& status = error.nvme_status();
  return status && status->sct == spec::fabrics::sc::invalid_parameters.sct &&
         status->sc == spec::fabrics::sc::invalid_parameters.sc;
}

}  // namespace

std::shared_ptr<ThreadQueue> ThreadQueue::of(const std::shared_ptr<nvme::ControllerCore>& controller) {
  static const char key = 0;
  std::shared_ptr<void>& slot = detail::ThreadCore::require_current("io_channel").local(&key);
  if (slot == nullptr) slot = std::make_shared<Known>();
  auto& known = *std::static_pointer_cast<Known>(slot);
  std::erase_if(known, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<ThreadQueue>& place = known[controller.get()];
  if (auto queue = place.lock()) return queue;
  auto queue = std::make_shared<ThreadQueue>(controller);
  place = queue;
  queue->start_opening();
  return queue;
}

void ThreadQueue::start_opening() noexcept {
  if (opening_) return;
  opening_ = true;
  try {
    CurrentThread::spawn(nvme::keeping(shared_from_this(), open()), "nvme open queue pair").detach();
  } catch (...) {
    opening_ = false;
    end_waiting(Error::from_current_exception());
  }
}

Task<> ThreadQueue::open() {
  const auto self = shared_from_this();
  const std::uint64_t connections = controller_->connections();
  auto opening = controller_->open_queue({});
  auto opened = co_await as_result(std::move(opening));
  if (!opened && knows_us_no_more(opened.error())) {
    if (controller_->connections() == connections) {
      log::warn("{}: {}", controller_->settings().name, opened.error().what());
      auto resetting = controller_->reset();
      [[maybe_unused]] const auto was_reset = co_await as_result(std::move(resetting));
    }
    auto opening_again = controller_->open_queue({});
    opened = co_await as_result(std::move(opening_again));
  }
  opening_ = false;
  if (!opened) {
    log::error("{}: no queue pair for thread '{}': {}", controller_->settings().name, CurrentThread::name(),
               opened.error().what());
    end_waiting(opened.error());
    co_return;
  }
  qpair_ = nvme::Qpair(controller_, std::move(*opened));
  IntrusiveQueue<nvme::Request> starting = std::move(waiting_);
  while (nvme::Request* const request = starting.pop_front()) {
    if (request->command.fuse() == spec::Fuse::first) {
      qpair_.queue()->submit_pair(*request, *starting.pop_front());
    } else {
      qpair_.queue()->submit(*request);
    }
  }
}

void ThreadQueue::end_waiting(const Error& why) noexcept {
  why_ = why;
  IntrusiveQueue<nvme::Request> ending = std::move(waiting_);
  while (nvme::Request* const request = ending.pop_front()) request->end_unsent();
}

void ThreadQueue::submit(nvme::Request& request) noexcept {
  if (ready()) [[likely]]
    return qpair_.queue()->submit(request);
  waiting_.push_back(request);
  start_opening();
}

void ThreadQueue::submit_pair(nvme::Request& first, nvme::Request& second) noexcept {
  if (ready()) return qpair_.queue()->submit_pair(first, second);
  waiting_.push_back(first);
  waiting_.push_back(second);
  start_opening();
}

void ThreadQueue::cancel(nvme::Request& request) noexcept {
  if (ready()) return qpair_.queue()->cancel(request);
  if (waiting_.remove(request)) request.end_unsent();
}

Error ThreadQueue::why() const {
  if (ready()) return qpair_.queue()->why();
  return why_.value_or(Error(std::errc::not_connected));
}

DmaBuf ThreadQueue::take_small_buffer() noexcept {
  if (ready()) return qpair_.queue()->take_small_buffer();
  auto made = DmaBuf::allocate(nvme::QueueState::small_buffer_bytes);
  return made ? std::move(*made) : DmaBuf{};
}

void ThreadQueue::give_small_buffer(DmaBuf buffer) noexcept {
  if (ready()) qpair_.queue()->give_small_buffer(std::move(buffer));
}

}  // namespace spdkio::bdev::nvme_disk
