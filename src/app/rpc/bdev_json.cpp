#include "app/rpc/bdev_json.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace spdkio::app {
namespace {

using bdev::IoType;

/// All that SPDK lists, in its order; those that this block layer does not have are never supported.
constexpr std::array<std::string_view, 22> io_type_names{"read",
                                                         "write",
                                                         "unmap",
                                                         "flush",
                                                         "reset",
                                                         "nvme_admin",
                                                         "nvme_io",
                                                         "nvme_io_md",
                                                         "write_zeroes",
                                                         "zcopy",
                                                         "get_zone_info",
                                                         "zone_management",
                                                         "zone_append",
                                                         "compare",
                                                         "compare_and_write",
                                                         "abort",
                                                         "seek_hole",
                                                         "seek_data",
                                                         "copy",
                                                         "nvme_iov_md",
                                                         "nvme_nssr",
                                                         "write_uncorrectable"};

bool supports(const bdev::DeviceState& device, std::string_view name) {
  for (std::size_t i = 0; i < bdev::io_type_count; ++i) {
    const auto type = static_cast<IoType>(i);
    if (bdev::to_string(type) == name) return device.supports(type);
  }
  return false;
}

void add_metadata(const bdev::Geometry& geometry, Json& out) {
  if (geometry.metadata_size == 0) return;
  out["md_size"] = geometry.metadata_size;
  out["md_interleave"] = geometry.metadata_interleaved;
  out["dif_type"] = std::to_underlying(geometry.dif_type);
  if (geometry.dif_type == bdev::DifType::none) return;
  out["dif_is_head_of_md"] = geometry.dif_at_start_of_metadata;
  out["enabled_dif_check_types"] = {
      {"reftag", geometry.dif_type != bdev::DifType::type3}, {"apptag", true}, {"guard", true}};
  out["dif_pi_format"] = 0;
}

void add_operations(const char* bytes, const char* operations, const bdev::OpStats& stats, Json& entry) {
  entry[bytes] = stats.bytes;
  entry[operations] = stats.operations;
}

void add_latency(const std::string& name, const bdev::OpStats& stats, Json& entry) {
  const bool timed = stats.timed_operations != 0;
  entry[name + "_latency_ticks"] = stats.estimated_total_ticks();
  entry["max_" + name + "_latency_ticks"] = stats.max_latency_ticks;
  entry["min_" + name + "_latency_ticks"] = timed ? stats.min_latency_ticks : 0;
}

}  // namespace

Json bdev_to_json(const bdev::DeviceState& device) {
  const bdev::Geometry& geometry = device.geometry();
  Json out = Json::object();
  out["name"] = device.name();
  out["aliases"] = Json::array();
  for (const std::string& alias : device.aliases()) out["aliases"].push_back(alias);
  out["product_name"] = device.product_name();
  out["block_size"] = geometry.block_size;
  out["num_blocks"] = device.num_blocks().value;
  // What devices here do not tell apart.
  for (const char* unknown : {"preferred_write_alignment", "preferred_write_granularity", "optimal_write_size",
                              "preferred_unmap_alignment", "preferred_unmap_granularity"}) {
    out[unknown] = 0;
  }
  out["uuid"] = device.uuid().to_string();
  if (geometry.numa_node >= 0) out["numa_id"] = geometry.numa_node;
  add_metadata(geometry, out);
  out["assigned_rate_limits"] = {
      {"rw_ios_per_sec", 0}, {"rw_mbytes_per_sec", 0}, {"r_mbytes_per_sec", 0}, {"w_mbytes_per_sec", 0}};
  const bdev::ClaimInfo claim = device.claim_info();
  out["claimed"] = claim.type != bdev::Claim::none;
  if (claim.type != bdev::Claim::none) out["claim_type"] = bdev::to_string(claim.type);
  out["zoned"] = geometry.zone_size_blocks != 0;
  if (geometry.zone_size_blocks != 0) {
    out["zone_size"] = geometry.zone_size_blocks;
    out["max_open_zones"] = geometry.max_open_zones;
    out["max_active_zones"] = geometry.max_active_zones;
    out["optimal_open_zones"] = geometry.optimal_open_zones;
  }
  Json supported = Json::object();
  for (const std::string_view name : io_type_names) supported[std::string(name)] = supports(device, name);
  out["supported_io_types"] = std::move(supported);
  out["driver_specific"] = device.driver_specific();
  return out;
}

void stats_to_json(const bdev::Stats& stats, Json& entry) {
  add_operations("bytes_read", "num_read_ops", stats[IoType::read], entry);
  add_operations("bytes_written", "num_write_ops", stats[IoType::write], entry);
  add_operations("bytes_unmapped", "num_unmap_ops", stats[IoType::unmap], entry);
  add_operations("bytes_copied", "num_copy_ops", stats[IoType::copy], entry);
  add_latency("read", stats[IoType::read], entry);
  add_latency("write", stats[IoType::write], entry);
  add_latency("unmap", stats[IoType::unmap], entry);
  add_latency("copy", stats[IoType::copy], entry);
  std::uint64_t errors = 0;
  for (const bdev::OpStats& operation : stats.ops) errors += operation.errors;
  Json io_error = Json::object();
  if (errors != 0) io_error["failed"] = errors;
  entry["io_error"] = std::move(io_error);
}

}  // namespace spdkio::app
