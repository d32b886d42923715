// DeviceState: a registered device with everything the block layer knows about it. Shared by descriptors and channels,
// and outlives the module's Device, so that using a removed device is an answer and not a crash.
#pragma once

#include <spdkio/bdev/channel_slot.hpp>
#include <spdkio/bdev/device.hpp>
#include <spdkio/bdev/stats.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::bdev {

class DescState;

enum class BdevEventType : std::uint8_t {
  remove,  ///< the device goes away: operations fail with ENODEV from now on; close the descriptor
  resize,  ///< `num_blocks` changed
  media    ///< the module reports trouble with the range `media`
};

struct BdevEvent {
  BdevEventType type = BdevEventType::remove;
  BlockCount num_blocks;  ///< resize: the new size
  LbaRange media;         ///< media: where
};

/// How a module keeps others from writing to a device it is built on; SPDK's claim types.
enum class Claim : std::uint8_t {
  none,
  exclusive_write,        ///< one writer, the claimer; others may read
  read_many_write_none,   ///< nobody writes; several claimers
  read_many_write_shared  ///< claimers with the same key write
};
std::string_view to_string(Claim) noexcept;

struct ClaimInfo {
  Claim type = Claim::none;
  std::vector<std::string> modules;  ///< who holds it
};

struct ChannelStats {
  ThreadHandle thread;
  Stats stats;
  std::uint64_t in_flight = 0;
};

/// What a device did since it was registered or its counters were reset, over all Threads.
struct DeviceTotals {
  Stats stats;
  Latencies latencies;
  std::uint64_t in_flight = 0;
  std::uint64_t channels = 0;  ///< open now
};

/// Any OS thread, unless said otherwise.
class DeviceState : public std::enable_shared_from_this<DeviceState> {
 public:
  explicit DeviceState(std::unique_ptr<Device> device);
  DeviceState(const DeviceState&) = delete;
  ~DeviceState();

  // Copies that stay after the Device has gone.
  const std::string& name() const noexcept { return name_; }
  const std::string& product_name() const noexcept { return product_name_; }
  const Uuid& uuid() const noexcept { return uuid_; }
  /// With the size at registration; `num_blocks()` is the present one.
  const Geometry& geometry() const noexcept { return geometry_; }
  BlockCount num_blocks() const noexcept { return BlockCount{num_blocks_.load(std::memory_order_relaxed)}; }
  bool supports(IoType type) const noexcept { return (supported_ >> static_cast<std::uint32_t>(type) & 1) != 0; }
  bool removed() const noexcept { return removed_.load(std::memory_order_acquire); }
  /// As they are now; `Service::set_aliases` changes them.
  std::vector<std::string> aliases() const;
  /// Null once removed. The registry's own thread only, or while a channel is held.
  Device* device() const noexcept { return device_.get(); }
  /// What `Device::bases` says; nothing once removed.
  std::vector<std::string> bases() const;
  nlohmann::ordered_json driver_specific() const;
  nlohmann::ordered_json config() const;

  /// The current Thread's slot, made if need be, with one more reference. Throws ENODEV after removal.
  ChannelSlot& acquire_slot();
  bool has_slot(const ChannelSlot& slot) const;
  /// Sums over all Threads, and what closed channels had done.
  Task<Stats> stats();
  Task<std::vector<ChannelStats>> stats_per_channel();
  Task<DeviceTotals> totals();
  Task<> reset_stats();
  Task<> enable_histogram(bool enable, std::uint32_t bucket_shift);
  bool histogram_enabled() const noexcept { return histogram_enabled_; }
  /// Merged over all Threads; throws Misuse::invalid_argument when it was not enabled.
  Task<LatencyHistogram> histogram();

  // Descriptors and claims.
  /// Throws ENODEV when the device was removed, and for writing Misuse::read_only or EPERM when a claim forbids it.
  void add_descriptor(DescState& desc);
  void remove_descriptor(DescState& desc) noexcept;
  std::size_t descriptor_count() const;
  /// Throws EPERM naming the holders when `type` does not go with what is claimed or opened for writing.
  void claim(Claim type, std::string module, std::uint64_t shared_key, DescState& by);
  void release_claim(const std::string& module) noexcept;
  ClaimInfo claim_info() const;

  // For the service that owns the registration.
  void notify(const BdevEvent& event);
  void resize(BlockCount num_blocks);
  void set_aliases(std::vector<std::string> aliases);
  /// Refuses new requests, awaits what is in flight on every Thread, has the devices that stand on this one removed,
  /// and destroys the Device.
  Task<> retire();

 private:
  friend class ChannelSlot;
  void forget(ChannelSlot& slot) noexcept;
  struct Holder {
    ChannelSlot* slot;
    std::shared_ptr<detail::Mailbox> mailbox;
  };
  std::vector<Holder> holders() const;
  bool slot_being_made() const;
  std::vector<std::shared_ptr<DescState>> descriptors() const;
  template <class F>
  Task<> for_each_slot(F fn);

  // Fixed.
  std::string name_;
  std::string product_name_;
  Uuid uuid_;
  Geometry geometry_;
  std::uint32_t supported_ = 0;
  // Any thread.
  std::atomic<std::uint64_t> num_blocks_;
  std::atomic<bool> removed_{false};
  std::atomic<bool> histogram_enabled_{false};
  std::atomic<std::uint32_t> histogram_shift_{7};
  // Under the mutex.
  mutable std::mutex mutex_;
  std::unique_ptr<Device> device_;
  std::vector<std::string> aliases_;
  std::vector<Holder> slots_;
  std::size_t slots_being_made_ = 0;
  std::vector<DescState*> descriptors_;
  Stats closed_stats_;
  Latencies closed_latencies_;
  std::uint64_t closed_channels_ = 0;
  ClaimInfo claim_;
  std::uint64_t claim_key_ = 0;
};

}  // namespace spdkio::bdev
