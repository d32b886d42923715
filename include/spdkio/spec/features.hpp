// Features, and the asynchronous events that one of them configures. NVMe Base Specification 2.x, "Set Features
// command", "Asynchronous Event Request command".
#pragma once

#include <spdkio/spec/command.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <cstdint>

namespace spdkio::spec {

/// Feature Identifier.
enum class Feature : std::uint8_t {
  arbitration = 0x01,
  power_management = 0x02,
  lba_range_type = 0x03,
  temperature_threshold = 0x04,
  error_recovery = 0x05,
  volatile_write_cache = 0x06,
  number_of_queues = 0x07,
  interrupt_coalescing = 0x08,
  interrupt_vector_configuration = 0x09,
  write_atomicity = 0x0A,
  async_event_configuration = 0x0B,
  autonomous_power_state = 0x0C,
  host_memory_buffer = 0x0D,
  timestamp = 0x0E,
  keep_alive_timer = 0x0F,
  host_thermal_management = 0x10,
  non_operational_power_state = 0x11,
  host_behavior_support = 0x16,
  host_identifier = 0x81,
  reservation_notification_mask = 0x82,
  reservation_persistence = 0x83,
  ns_write_protection = 0x84,
};

/// Which value Get Features asks for.
enum class FeatureSelect : std::uint8_t { current = 0, default_value = 1, saved = 2, supported_capabilities = 3 };

constexpr Command get_features_command(Feature feature, FeatureSelect select = FeatureSelect::current,
                                       std::uint32_t cdw11 = 0, std::uint32_t nsid = 0) noexcept {
  Command command;
  command.opcode = raw(AdminOpcode::get_features);
  command.nsid = nsid;
  command.cdw10 = static_cast<std::uint32_t>(feature) | static_cast<std::uint32_t>(select) << 8;
  command.cdw11 = cdw11;
  return command;
}
constexpr Command set_features_command(Feature feature, std::uint32_t cdw11, bool save = false,
                                       std::uint32_t nsid = 0) noexcept {
  Command command;
  command.opcode = raw(AdminOpcode::set_features);
  command.nsid = nsid;
  command.cdw10 = static_cast<std::uint32_t>(feature) | (save ? 1u << 31 : 0);
  command.cdw11 = cdw11;
  return command;
}

/// Number of Queues: what is asked in CDW11 and granted in DW0, 0's based on the wire.
struct NumberOfQueues {
  std::uint32_t submission = 1;  ///< 1 to 65535
  std::uint32_t completion = 1;
  constexpr std::uint32_t encode() const noexcept { return (submission - 1) | (completion - 1) << 16; }
  static constexpr NumberOfQueues decode(std::uint32_t dword) noexcept {
    return {(dword & 0xFFFF) + 1, (dword >> 16) + 1};
  }
};

/// Bits of Asynchronous Event Configuration, and of OAES.
namespace async_event_config {
inline constexpr std::uint32_t health_mask = 0xFF;
inline constexpr std::uint32_t ns_attributes = 1u << 8;
inline constexpr std::uint32_t firmware_activation = 1u << 9;
inline constexpr std::uint32_t telemetry = 1u << 10;
inline constexpr std::uint32_t ana_change = 1u << 11;
inline constexpr std::uint32_t discovery_log = 1u << 31;
}  // namespace async_event_config

enum class AsyncEventType : std::uint8_t {
  error = 0,
  health = 1,
  notice = 2,
  immediate = 3,
  command_set = 6,
  vendor = 7
};

/// Asynchronous Event Information of notices.
enum class AsyncNotice : std::uint8_t {
  ns_attribute_changed = 0x00,
  firmware_activation_starting = 0x01,
  telemetry_log_changed = 0x02,
  ana_change = 0x03,
  discovery_log_changed = 0xF0,
};

/// DW0 of a completed Asynchronous Event Request.
struct AsyncEvent {
  AsyncEventType type{};
  std::uint8_t information = 0;
  std::uint8_t log_page = 0;  ///< reading it acknowledges the event
  constexpr std::uint32_t encode() const noexcept {
    return static_cast<std::uint32_t>(type) | static_cast<std::uint32_t>(information) << 8 |
           static_cast<std::uint32_t>(log_page) << 16;
  }
  static constexpr AsyncEvent decode(std::uint32_t dw0) noexcept {
    return {static_cast<AsyncEventType>(dw0 & 7), static_cast<std::uint8_t>(dw0 >> 8),
            static_cast<std::uint8_t>(dw0 >> 16)};
  }
  constexpr bool operator==(const AsyncEvent&) const noexcept = default;
};

/// Abort: ends the command with that identifier on that queue. DW0 bit 0 of the completion is 0 when it did.
constexpr Command abort_command(std::uint16_t sqid, std::uint16_t cid) noexcept {
  Command command;
  command.opcode = raw(AdminOpcode::abort);
  command.cdw10 = static_cast<std::uint32_t>(sqid) | static_cast<std::uint32_t>(cid) << 16;
  return command;
}

constexpr Command keep_alive_command() noexcept {
  Command command;
  command.opcode = raw(AdminOpcode::keep_alive);
  return command;
}

constexpr Command async_event_request_command() noexcept {
  Command command;
  command.opcode = raw(AdminOpcode::async_event_request);
  return command;
}

}  // namespace spdkio::spec
