// What the nvmf_* methods share.
#pragma once

#include <spdkio/nvmf/target.hpp>
#include <spdkio/rpc/json.hpp>
#include <spdkio/rpc/method_table.hpp>
#include <spdkio/rpc/params.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace spdkio::nvmf {

/// The target that is meant when none is named; made when it is first needed, as SPDK's programs have one from the
/// start.
inline constexpr const char* default_target_name = "nvmf_tgt";

/// A new target, which lives until it is destroyed by name, or by the end of the application.
Task<Target> make_target(std::string name, std::uint32_t max_subsystems);
/// By name; empty: the default one. Throws ENODEV.
Task<Target> target_named(std::string name);
/// Throws ENOENT.
Subsystem subsystem_named(const Target& target, const std::string& nqn);

/// `listen_address` of SPDK's schema.
struct ListenAddress {
  std::string trtype;
  std::string adrfam;
  std::string traddr;
  std::string trsvcid;
  void fields(rpc::Params& p);
  /// Throws Misuse::invalid_argument.
  nvme::TransportId to_transport_id() const;
};
Json to_json(const nvme::TransportId& where);

/// Parameters of methods about one subsystem.
struct OneSubsystem {
  std::string nqn;
  std::string tgt_name;
  void fields(rpc::Params& p);
};
/// Parameters of methods about a target, the default one when it is not named.
struct OneTarget {
  std::string tgt_name;
  void fields(rpc::Params& p);
};

/// Hexadecimal digits, two for each byte, as NGUID and EUI-64 are written. Throws Misuse::invalid_argument; an empty
/// text leaves zeroes.
void bytes_from_hex(const std::string& name, const std::string& text, std::span<std::uint8_t> bytes);
std::string to_hex(std::span<const std::uint8_t> bytes);

void register_target_methods(rpc::MethodTable& table);
void register_discovery_methods(rpc::MethodTable& table);
void register_subsystem_methods(rpc::MethodTable& table);
void register_namespace_methods(rpc::MethodTable& table);
void register_report_methods(rpc::MethodTable& table);

/// What `nvmf_set_config` set for targets that are made later.
struct GlobalSettings {
  std::string poll_groups_mask;
};
GlobalSettings& global_settings() noexcept;

}  // namespace spdkio::nvmf
