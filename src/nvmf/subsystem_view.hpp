// SubsystemView: a subsystem as one poll thread sees it: its namespaces with channels of that thread, and whether I/O
// may go on. Changed by messages from the subsystem's home.
#pragma once

#include <spdkio/base/uuid.hpp>
#include <spdkio/bdev/desc_state.hpp>
#include <spdkio/bdev/io_channel.hpp>
#include <spdkio/nvmf/subsystem.hpp>
#include <spdkio/runtime/event.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nvmf/request.hpp"

namespace spdkio::nvmf {

/// What a namespace is; the same for all threads.
struct NamespaceTraits {
  std::uint32_t nsid = 0;
  std::string bdev_name;
  Uuid uuid{};
  std::array<std::uint8_t, 16> nguid{};
  std::array<std::uint8_t, 8> eui64{};
  std::shared_ptr<bdev::DeviceState> device;
  bool writable = false;

  std::uint32_t block_size() const noexcept { return device->geometry().block_size; }
  bool supports(bdev::IoType type) const noexcept {
    return device->supports(type) && (writable || !bdev::modifies(type));
  }
};

struct NamespaceView {
  std::shared_ptr<const NamespaceTraits> traits;
  IoChannel channel;
  std::uint32_t block_size = 0;
  std::uint64_t in_flight = 0;
  bool removed = false;  ///< no new command; lives until the last in flight has ended
  Event idle;
};

class SubsystemView {
 public:
  explicit SubsystemView(std::string nqn) : nqn_(std::move(nqn)) {}
  SubsystemView(const SubsystemView&) = delete;
  SubsystemView& operator=(const SubsystemView&) = delete;

  /// Null for an nsid that is not there.
  NamespaceView* find(std::uint32_t nsid) const noexcept {
    return nsid - 1 < namespaces_.size() ? namespaces_[nsid - 1].get() : nullptr;
  }
  /// By nsid, with gaps.
  const std::vector<std::unique_ptr<NamespaceView>>& namespaces() const noexcept { return namespaces_; }
  /// Throws Error when the device gives no channel.
  void add(std::shared_ptr<const NamespaceTraits> traits);
  /// Returns when nothing of the namespace is in flight on this thread any more, with its channel closed.
  Task<> remove(std::uint32_t nsid);

  bool paused() const noexcept { return paused_; }
  /// New requests are parked from now on; returns when those in flight have ended.
  Task<> pause();
  void resume();
  void park(Request& request) noexcept;
  void unpark(Request& request) noexcept;

  /// Around every request that a device has.
  void started(NamespaceView& ns) noexcept {
    ++ns.in_flight;
    ++in_flight_;
  }
  void ended(NamespaceView& ns) noexcept {
    --ns.in_flight;
    --in_flight_;
    if (ns.removed && ns.in_flight == 0) [[unlikely]]
      ns.idle.set();
    if (paused_ && in_flight_ == 0) [[unlikely]]
      idle_.set();
  }
  const std::string& nqn() const noexcept { return nqn_; }
  std::size_t queues = 0;  ///< that are connected here

 private:
  std::string nqn_;
  std::vector<std::unique_ptr<NamespaceView>> namespaces_;
  std::uint64_t in_flight_ = 0;
  bool paused_ = false;
  Event idle_;
  Request* parked_head_ = nullptr;
  Request** parked_tail_ = &parked_head_;
};

}  // namespace spdkio::nvmf
