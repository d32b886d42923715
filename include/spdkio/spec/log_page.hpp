// Log pages. NVMe Base Specification 2.x, "Get Log Page command".
#pragma once

#include <spdkio/spec/command.hpp>
#include <spdkio/spec/endian.hpp>
#include <spdkio/spec/opcodes.hpp>
#include <spdkio/spec/text.hpp>

#include <array>
#include <cstdint>
#include <type_traits>

namespace spdkio::spec {

/// Log Page Identifier.
enum class LogPage : std::uint8_t {
  supported_pages = 0x00,
  error_information = 0x01,
  smart_health = 0x02,
  firmware_slot = 0x03,
  changed_ns_list = 0x04,
  commands_supported = 0x05,
  device_self_test = 0x06,
  telemetry_host = 0x07,
  telemetry_controller = 0x08,
  endurance_group = 0x09,
  ana = 0x0C,
  persistent_event = 0x0D,
  lba_status = 0x0E,
  features_supported = 0x12,
  discovery = 0x70,
  reservation_notification = 0x80,
  sanitize_status = 0x81,
};

/// `bytes` is a multiple of 4, at least 4. `retain_event`: keep the asynchronous event that announced the page.
constexpr Command get_log_page_command(LogPage page, std::uint32_t bytes, std::uint64_t offset = 0,
                                       std::uint32_t nsid = nsid_all, bool retain_event = false,
                                       std::uint8_t specific = 0) noexcept {
  Command command;
  command.opcode = raw(AdminOpcode::get_log_page);
  command.nsid = nsid;
  const std::uint32_t dwords = bytes / 4 - 1;
  command.cdw10 = static_cast<std::uint32_t>(page) | (specific & 0x7Fu) << 8 | (retain_event ? 1u << 15 : 0) |
                  (dwords & 0xFFFF) << 16;
  command.cdw11 = dwords >> 16;
  command.cdw12 = static_cast<std::uint32_t>(offset);
  command.cdw13 = static_cast<std::uint32_t>(offset >> 32);
  return command;
}
/// The bytes that such a command asks for.
constexpr std::uint64_t log_page_bytes(const Command& command) noexcept {
  const std::uint64_t dwords = (command.cdw10.value() >> 16) | (std::uint64_t{command.cdw11.value() & 0xFFFF} << 16);
  return (dwords + 1) * 4;
}

/// An entry of the Error Information log.
struct ErrorLogEntry {
  Le64 error_count;  ///< 0: no entry
  Le16 sqid;
  Le16 cid;
  Le16 status_field;
  Le16 parameter_error_location;
  Le64 lba;
  Le32 nsid;
  std::uint8_t vendor_information = 0;
  std::uint8_t trtype = 0;
  std::uint8_t csi = 0;
  std::uint8_t opcode = 0;
  Le64 command_specific;
  Le16 transport_specific;
  Reserved<21> reserved42{};
  std::uint8_t version = 0;
};
static_assert(sizeof(ErrorLogEntry) == 64);

/// SMART / Health Information.
struct SmartLog {
  std::uint8_t critical_warning = 0;
  Le16 composite_temperature;  ///< kelvin
  std::uint8_t available_spare = 0;
  std::uint8_t available_spare_threshold = 0;
  std::uint8_t percentage_used = 0;
  std::uint8_t endurance_critical_warning = 0;
  Reserved<25> reserved7{};
  Le128 data_units_read;     ///< units of 1000 times 512 bytes
  Le128 data_units_written;  ///< units of 1000 times 512 bytes
  Le128 host_reads;
  Le128 host_writes;
  Le128 controller_busy_time;  ///< minutes
  Le128 power_cycles;
  Le128 power_on_hours;
  Le128 unsafe_shutdowns;
  Le128 media_errors;
  Le128 error_log_entries;
  Le32 warning_temperature_time;   ///< minutes
  Le32 critical_temperature_time;  ///< minutes
  std::array<Le16, 8> temperature_sensor{};
  std::array<Le32, 2> thermal_transitions{};
  std::array<Le32, 2> thermal_time{};
  Reserved<280> reserved232{};
};
static_assert(sizeof(SmartLog) == 512);

struct FirmwareSlotLog {
  std::uint8_t active = 0;  ///< 2:0 the slot that runs, 6:4 the one that runs after the next reset
  Reserved<7> reserved1{};
  std::array<Text<8>, 7> revision{};
  Reserved<448> reserved64{};
};
static_assert(sizeof(FirmwareSlotLog) == 512);

/// Changed Attached Namespace List: 0 ends it; a single FFFFFFFFh says that more changed than fit.
struct ChangedNamespaceLog {
  std::array<Le32, 1024> nsid{};
};
static_assert(sizeof(ChangedNamespaceLog) == 4096);

/// Commands Supported and Effects. Entries are bit fields, see `effects`.
struct CommandEffectsLog {
  std::array<Le32, 256> admin{};
  std::array<Le32, 256> io{};
  Reserved<2048> reserved2048{};
};
static_assert(sizeof(CommandEffectsLog) == 4096);
namespace effects {
inline constexpr std::uint32_t supported = 1u << 0;
inline constexpr std::uint32_t content_change = 1u << 1;
inline constexpr std::uint32_t ns_capability_change = 1u << 2;
inline constexpr std::uint32_t ns_inventory_change = 1u << 3;
inline constexpr std::uint32_t controller_capability_change = 1u << 4;
}  // namespace effects

/// Head of the Asymmetric Namespace Access log; `groups` descriptors follow.
struct AnaLogHeader {
  Le64 change_count;
  Le16 groups;
  Reserved<6> reserved10{};
};
static_assert(sizeof(AnaLogHeader) == 16);

enum class AnaState : std::uint8_t {
  optimized = 0x1,
  non_optimized = 0x2,
  inaccessible = 0x3,
  persistent_loss = 0x4,
  change = 0xF,
};

/// Head of an ANA Group Descriptor; `nsids` namespace identifiers of four bytes follow.
struct AnaGroupDescriptor {
  Le32 group;
  Le32 nsids;
  Le64 change_count;
  std::uint8_t state = 0;  ///< bits 3:0
  Reserved<15> reserved17{};
};
static_assert(sizeof(AnaGroupDescriptor) == 32);

/// Sanitize Status.
struct SanitizeLog {
  Le16 progress;  ///< of 65536
  Le16 status;    ///< 2:0: 0 never sanitized, 1 done, 2 in progress, 3 failed, 4 done with no deallocate
  Le32 cdw10;
  Le32 overwrite_seconds;
  Le32 block_erase_seconds;
  Le32 crypto_erase_seconds;
  Le32 overwrite_no_deallocate_seconds;
  Le32 block_erase_no_deallocate_seconds;
  Le32 crypto_erase_no_deallocate_seconds;
  Reserved<480> reserved32{};
};
static_assert(sizeof(SanitizeLog) == 512);

/// Reservation Notification.
struct ReservationNotificationLog {
  Le64 count;
  std::uint8_t type = 0;  ///< 0: empty, 1: registration preempted, 2: reservation released, 3: reservation preempted
  std::uint8_t available = 0;
  Reserved<2> reserved10{};
  Le32 nsid;
  Reserved<48> reserved16{};
};
static_assert(sizeof(ReservationNotificationLog) == 64);

/// Supported Log Pages: bit 0 of an entry says that the page exists.
struct SupportedLogPages {
  std::array<Le32, 256> page{};
};
static_assert(sizeof(SupportedLogPages) == 1024);

static_assert(std::is_trivially_copyable_v<SmartLog>);

}  // namespace spdkio::spec
