// DescState: an open descriptor, as its operations see it. Heap-allocated so that a BdevDesc can be moved.
#pragma once

#include <spdkio/bdev/device_state.hpp>
#include <spdkio/runtime/wait_queue.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

namespace spdkio {

enum class Access : std::uint8_t { read_only, read_write };

namespace bdev {

/// A module whose device stands on another hears of the base in this way and not on a Thread: the one that made its
/// device may have ended long before.
class BaseObserver {
 public:
  /// The base goes away, and nothing is in flight there any more. Awaited by whoever removes it, on his Thread.
  virtual Task<> base_removed() = 0;
  /// On the Thread that reports the new size.
  virtual void base_resized(BlockCount num_blocks) noexcept = 0;

 protected:
  ~BaseObserver() = default;
};

class DescState : public std::enable_shared_from_this<DescState> {
 public:
  DescState(std::shared_ptr<DeviceState> device, Access access);
  /// A module's: belongs to no Thread, and the observer is told instead of events being queued.
  DescState(std::shared_ptr<DeviceState> device, Access access, std::weak_ptr<BaseObserver> observer);
  DescState(const DescState&) = delete;
  ~DescState();

  DeviceState& device() const noexcept { return *device_; }
  const std::shared_ptr<DeviceState>& shared_device() const noexcept { return device_; }
  Access access() const noexcept { return access_; }
  /// Null when there is none, or none any more.
  std::shared_ptr<BaseObserver> observer() const noexcept { return observer_.lock(); }
  bool closed() const noexcept { return allowed_.load(std::memory_order_relaxed) == 0; }

  /// What forbids this operation through this descriptor and slot, or success. Inline: it is asked for every I/O.
  IoStatus check(const ChannelSlot* slot, IoType type) const noexcept {
    const std::uint32_t allowed = allowed_.load(std::memory_order_relaxed);
    if (slot != nullptr && &slot->device() == device_.get() && &slot->core() == detail::ThreadCore::current() &&
        (allowed >> static_cast<std::uint32_t>(type) & 1) != 0) [[likely]] {
      return IoStatus::success();
    }
    return refusal(slot);
  }

  /// Home Thread, if it has one. Throws Misuse::already_closed the second time.
  void close();
  /// Any OS thread: queues an event for `next_event`.
  void deliver(const BdevEvent& event);
  Task<std::optional<BdevEvent>> next_event();

  void claim(Claim type, std::string module, std::uint64_t shared_key);
  void release_claim() noexcept;

 private:
  class EventWait;
  IoStatus refusal(const ChannelSlot* slot) const noexcept;

  std::shared_ptr<DeviceState> device_;
  std::atomic<std::uint32_t> allowed_;  ///< a bit for each IoType; 0: closed
  Access access_;
  std::shared_ptr<detail::Mailbox> home_;  ///< null for a module's
  std::weak_ptr<BaseObserver> observer_;
  std::optional<std::string> claimed_by_;
  std::deque<BdevEvent> events_;
  detail::WaitQueue event_waiters_;
};

}  // namespace bdev
}  // namespace spdkio
