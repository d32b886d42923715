// ChannelState: what a BlobChannel stands on, and how the I/O of a Thread is counted so that it can be waited for.
#pragma once

#include <spdkio/bdev/io_channel.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/thread.hpp>

#include <cstdint>
#include <map>
#include <memory>

namespace spdkio::blob {

class ExternalSnapshot;
class Store;

/// On its Thread only.
struct ChannelState {
  std::shared_ptr<Store> store;
  IoChannel io;
  ThreadHandle home;
  std::uint64_t in_flight[2] = {};  ///< by the phase in which they began
  unsigned phase = 0;
  Event drained;
  Event thawed;
  /// To the external snapshots that were read so far.
  std::map<const ExternalSnapshot*, IoChannel> external;
  const IoChannel& channel_of(const ExternalSnapshot& device);
};

/// Counts an operation from construction to destruction.
class InFlight {
 public:
  explicit InFlight(ChannelState& channel) noexcept : channel_(&channel), phase_(channel.phase) {
    ++channel.in_flight[phase_];
  }
  InFlight(const InFlight&) = delete;
  ~InFlight() { end(); }
  void end() noexcept {
    if (channel_ == nullptr) return;
    // Only the former phase is ever waited for.
    if (--channel_->in_flight[phase_] == 0 && phase_ != channel_->phase) channel_->drained.set();
    channel_ = nullptr;
  }

 private:
  ChannelState* channel_;
  unsigned phase_;
};

}  // namespace spdkio::blob
