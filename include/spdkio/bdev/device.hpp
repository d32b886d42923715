// Device: a block device as its module provides it.
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/base/uuid.hpp>
#include <spdkio/bdev/channel.hpp>
#include <spdkio/runtime/task.hpp>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::bdev {

/// End-to-end data protection, NVM Command Set Specification, "Protection Information". 0: none.
enum class DifType : std::uint8_t { none = 0, type1 = 1, type2 = 2, type3 = 3 };

/// What a device is. Fixed while it is registered, but for `num_blocks`, which `Service::notify_resize` changes.
struct Geometry {
  std::uint32_t block_size = 512;  ///< bytes of data per block, and of metadata too when it is interleaved
  std::uint64_t num_blocks = 0;
  std::uint32_t metadata_size = 0;  ///< bytes per block
  bool metadata_interleaved = false;
  DifType dif_type = DifType::none;
  bool dif_at_start_of_metadata = false;
  std::size_t buffer_alignment = 1;       ///< bytes, a power of two, that data buffers must be aligned to
  std::uint32_t physical_block_size = 0;  ///< bytes; 0: the block size
  std::uint32_t optimal_io_boundary = 0;  ///< blocks; 0: none
  std::uint32_t max_transfer_blocks = 0;  ///< longest single operation; 0: no limit
  std::uint32_t write_unit_blocks = 1;    ///< writes are multiples of it
  bool volatile_write_cache = false;      ///< flush is needed for durability
  bool rotational = false;
  bool read_only = false;
  std::uint64_t zone_size_blocks = 0;    ///< 0: not zoned
  std::uint32_t max_open_zones = 0;      ///< 0: no limit
  std::uint32_t max_active_zones = 0;    ///< 0: no limit
  std::uint32_t optimal_open_zones = 0;  ///< to write at full speed; 0: not known
  int numa_node = -1;
};

/// Base of all devices; a module derives from it and hands it to `Service::register_device`, which from then on owns
/// it. `supports`, `geometry` and the strings may be read from any OS thread and must not change while registered.
class Device {
 public:
  Device(std::string name, std::string product_name, Geometry geometry);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  /// No descriptor, channel or request is left.
  virtual ~Device() = default;

  const std::string& name() const noexcept { return name_; }
  const std::string& product_name() const noexcept { return product_name_; }
  const Uuid& uuid() const noexcept { return uuid_; }
  /// Those it is registered with; `Service::set_aliases` changes them later.
  const std::vector<std::string>& aliases() const noexcept { return aliases_; }
  const Geometry& geometry() const noexcept { return geometry_; }

  virtual bool supports(IoType type) const noexcept = 0;
  /// The device as the current Thread uses it; may throw Error. Called once per Thread that opens channels.
  virtual std::unique_ptr<Channel> make_channel() = 0;
  /// The last call before destruction, after every channel has gone: awaits what can't be done in a destructor.
  virtual Task<> shut_down();

  /// The devices that its data is on, by name, alias or UUID; none for a device that stands on no other.
  virtual std::vector<std::string> bases() const;
  /// `driver_specific` of `bdev_get_bdevs`: an object, as SPDK shows it for this kind of device.
  virtual nlohmann::ordered_json driver_specific() const;
  /// The RPC call that makes this device again: `{"method": ..., "params": {...}}`; null if it is made by another's
  /// call.
  virtual nlohmann::ordered_json config() const;

 protected:
  /// Before registration.
  void set_uuid(const Uuid& uuid) noexcept { uuid_ = uuid; }
  void add_alias(std::string alias) { aliases_.push_back(std::move(alias)); }

 private:
  friend class DeviceState;
  std::string name_;
  std::string product_name_;
  Uuid uuid_{};
  std::vector<std::string> aliases_;
  Geometry geometry_;
};

}  // namespace spdkio::bdev
