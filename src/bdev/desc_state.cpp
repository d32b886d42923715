#include <spdkio/bdev/desc_state.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/thread.hpp>

#include <utility>

namespace spdkio::bdev {

class DescState::EventWait : private detail::Waiter {
 public:
  explicit EventWait(detail::WaitQueue& queue) noexcept : Waiter("next_event"), queue_(queue) {}
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    return enqueue(queue_, handle, detail::promise_of(handle));
  }
  void await_resume() const { throw_if_stopped(); }

 private:
  detail::WaitQueue& queue_;
};

namespace {

constexpr std::uint32_t allowed_types(Access access) noexcept {
  std::uint32_t types = 0;
  for (std::size_t i = 0; i < io_type_count; ++i) {
    if (access != Access::read_only || !modifies(static_cast<IoType>(i))) types |= 1U << i;
  }
  return types;
}

}  // namespace

DescState::DescState(std::shared_ptr<DeviceState> device, Access access)
    : device_(std::move(device)),
      allowed_(allowed_types(access)),
      access_(access),
      home_(detail::ThreadCore::require_current("open").mailbox()) {
  device_->add_descriptor(*this);
}

DescState::DescState(std::shared_ptr<DeviceState> device, Access access, std::weak_ptr<BaseObserver> observer)
    : device_(std::move(device)), allowed_(allowed_types(access)), access_(access), observer_(std::move(observer)) {
  device_->add_descriptor(*this);
}

DescState::~DescState() {
  if (closed()) return;
  release_claim();
  device_->remove_descriptor(*this);
}

IoStatus DescState::refusal(const ChannelSlot* slot) const noexcept {
  if (slot == nullptr || closed()) return IoStatus::misuse(Misuse::already_closed);
  if (&slot->device() != device_.get()) return IoStatus::misuse(Misuse::invalid_argument);
  if (&slot->core() != detail::ThreadCore::current()) return IoStatus::misuse(Misuse::wrong_thread);
  return IoStatus::misuse(Misuse::read_only);
}

void DescState::close() {
  if (closed()) {
    throw Error(Misuse::already_closed, "the descriptor was closed before")
        .with_operation("close")
        .with_device(device_->name());
  }
  const auto* core = detail::ThreadCore::current();
  if (home_ != nullptr && (core == nullptr || core->mailbox() != home_)) {
    throw Error(Misuse::wrong_thread, "opened on thread '" + home_->name() + "'")
        .with_operation("close")
        .with_device(device_->name());
  }
  release_claim();
  allowed_.store(0, std::memory_order_relaxed);
  device_->remove_descriptor(*this);
  event_waiters_.wake_all();
}

void DescState::deliver(const BdevEvent& event) {
  if (home_ == nullptr) {
    const auto observer = observer_.lock();
    if (observer != nullptr && event.type == BdevEventType::resize) observer->base_resized(event.num_blocks);
    return;  // `DeviceState::retire` awaits the observer of a removal
  }
  const std::weak_ptr<DescState> weak = weak_from_this();
  [[maybe_unused]] const auto sent = ThreadHandle{home_}.send([weak, event] {
    const auto self = weak.lock();
    if (self == nullptr || self->closed()) return;
    self->events_.push_back(event);
    self->event_waiters_.wake_one();
  });
}

Task<std::optional<BdevEvent>> DescState::next_event() {
  const auto self = shared_from_this();
  if (detail::ThreadCore::require_current("next_event").mailbox() != home_) {
    throw Error(Misuse::wrong_thread, "opened on thread '" + home_->name() + "'")
        .with_operation("next_event")
        .with_device(device_->name());
  }
  while (events_.empty()) {
    if (closed()) co_return std::nullopt;
    co_await EventWait{event_waiters_};
  }
  const BdevEvent event = events_.front();
  events_.pop_front();
  co_return event;
}

void DescState::claim(Claim type, std::string module, std::uint64_t shared_key) {
  if (claimed_by_) {
    throw Error(Misuse::invalid_argument, "this descriptor holds a claim already")
        .with_operation("claim")
        .with_device(device_->name());
  }
  device_->claim(type, module, shared_key, *this);
  claimed_by_ = std::move(module);
}

void DescState::release_claim() noexcept {
  if (claimed_by_) device_->release_claim(*claimed_by_);
  claimed_by_.reset();
}

}  // namespace spdkio::bdev
