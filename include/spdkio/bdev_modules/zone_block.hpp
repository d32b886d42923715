// The zone_block module: a zoned device over an ordinary one.
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/base/uuid.hpp>
#include <spdkio/bdev/bdev.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstdint>
#include <string_view>

namespace spdkio::rpc {
class MethodTable;
}

namespace spdkio::bdev {

/// The strings are copied before `create_zone_block` returns.
struct ZoneBlockOptions {
  std::string_view name{};
  std::string_view base{};
  BlockCount zone_capacity;              ///< blocks of a zone that can be written; its size is the next power of two
  std::uint32_t optimal_open_zones = 1;  ///< only told to those who ask; not 0
  std::uint32_t max_open_zones = 0;      ///< 0: no limit
  std::uint32_t max_active_zones = 0;    ///< open and closed ones; 0: no limit, otherwise at least max_open_zones
  Uuid uuid{};                           ///< nil: one that follows from that of the base, as in SPDK
};

/// Claims the base and registers a device with as many whole zones as fit into it; a block has the same number in both.
/// What is left of the base is not used. Zones are written in order, as the NVMe Zoned Namespace Command Set says:
///
/// - Write, write_zeroes: at the write pointer and within the capacity. Otherwise Zone Invalid Write, Zoned Boundary
///   Error or Zone Is Full. Any number may be in flight, submitted in order on one Thread; zone_append needs no
///   order.
/// - Read: within one zone, or Zoned Boundary Error. What was not written since the zone was reset reads as zeroes.
/// - Open, close, finish, reset: Invalid Zone State Transition where the state forbids it, and always for `offline`.
///   A reset waits for writes of the zone that are in flight, and unmaps what was written if the base can.
/// - Too Many Open Zones, Too Many Active Zones: at the limits, after zones that no one opened explicitly were closed.
///
/// The states of the zones are not stored: all are full when the device is made, and what the base holds can be read.
/// A write that fails leaves the write pointer behind it. Errors: ENODEV; EPERM when the base is claimed or open for
/// writing; EEXIST, also for a base that has zones itself; Misuse::invalid_argument for options that make no sense, or
/// a base that is smaller than a zone.
Task<Bdev> create_zone_block(const ZoneBlockOptions& options);
/// ENODEV when there is no zone_block device of that name.
Task<> delete_zone_block(std::string_view name);

/// bdev_zone_block_create, bdev_zone_block_delete.
void register_zone_block_methods(rpc::MethodTable& table);

}  // namespace spdkio::bdev
