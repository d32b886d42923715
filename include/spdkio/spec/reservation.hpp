// Reservations. NVMe Base Specification 2.x, "Reservation Register" and its family.
#pragma once

#include <spdkio/spec/command.hpp>
#include <spdkio/spec/endian.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <array>
#include <cstdint>

namespace spdkio::spec {

/// RTYPE; `none` only in reports.
enum class ReservationType : std::uint8_t {
  none = 0,
  write_exclusive = 1,
  exclusive_access = 2,
  write_exclusive_registrants_only = 3,
  exclusive_access_registrants_only = 4,
  write_exclusive_all_registrants = 5,
  exclusive_access_all_registrants = 6,
};

/// RREGA.
enum class RegisterAction : std::uint8_t { register_key = 0, unregister_key = 1, replace_key = 2 };
/// RACQA.
enum class AcquireAction : std::uint8_t { acquire = 0, preempt = 1, preempt_and_abort = 2 };
/// RRELA.
enum class ReleaseAction : std::uint8_t { release = 0, clear = 1 };
/// CPTPL: what happens to reservations at a power loss.
enum class PersistThroughPowerLoss : std::uint8_t { no_change = 0, clear = 2, persist = 3 };

struct ReservationRegisterData {
  Le64 current_key;
  Le64 new_key;
};
static_assert(sizeof(ReservationRegisterData) == 16);

struct ReservationAcquireData {
  Le64 current_key;
  Le64 preempt_key;
};
static_assert(sizeof(ReservationAcquireData) == 16);

struct ReservationReleaseData {
  Le64 current_key;
};
static_assert(sizeof(ReservationReleaseData) == 8);

constexpr Command reservation_register_command(std::uint32_t nsid, RegisterAction action, bool ignore_existing_key,
                                               PersistThroughPowerLoss persist) noexcept {
  Command command;
  command.opcode = raw(NvmOpcode::reservation_register);
  command.nsid = nsid;
  command.cdw10 = static_cast<std::uint32_t>(action) | (ignore_existing_key ? 1u << 3 : 0) |
                  static_cast<std::uint32_t>(persist) << 30;
  return command;
}
constexpr Command reservation_acquire_command(std::uint32_t nsid, AcquireAction action, ReservationType type) noexcept {
  Command command;
  command.opcode = raw(NvmOpcode::reservation_acquire);
  command.nsid = nsid;
  command.cdw10 = static_cast<std::uint32_t>(action) | static_cast<std::uint32_t>(type) << 8;
  return command;
}
constexpr Command reservation_release_command(std::uint32_t nsid, ReleaseAction action, ReservationType type) noexcept {
  Command command;
  command.opcode = raw(NvmOpcode::reservation_release);
  command.nsid = nsid;
  command.cdw10 = static_cast<std::uint32_t>(action) | static_cast<std::uint32_t>(type) << 8;
  return command;
}
/// `bytes` is a multiple of 4. `extended`: with 128-bit host identifiers.
constexpr Command reservation_report_command(std::uint32_t nsid, std::uint32_t bytes, bool extended) noexcept {
  Command command;
  command.opcode = raw(NvmOpcode::reservation_report);
  command.nsid = nsid;
  command.cdw10 = bytes / 4 - 1;
  command.cdw11 = extended ? 1 : 0;
  return command;
}

/// Head of the Reservation Status; `registrants` entries follow, 24 bytes each, or 64 in the extended form, whose head
/// is padded to 64 bytes.
struct ReservationStatus {
  Le32 generation;
  std::uint8_t type = 0;
  Le16 registrants;
  Reserved<2> reserved7{};
  std::uint8_t persist_through_power_loss = 0;
  Reserved<14> reserved10{};
};
static_assert(sizeof(ReservationStatus) == 24);
struct ReservationStatusExtended {
  ReservationStatus head;
  Reserved<40> reserved24{};
};
static_assert(sizeof(ReservationStatusExtended) == 64);

struct RegisteredController {
  Le16 cntlid;
  std::uint8_t status = 0;  ///< bit 0: holds the reservation
  Reserved<5> reserved3{};
  Le64 host_id;
  Le64 key;
};
static_assert(sizeof(RegisteredController) == 24);

struct RegisteredControllerExtended {
  Le16 cntlid;
  std::uint8_t status = 0;  ///< bit 0: holds the reservation
  Reserved<5> reserved3{};
  Le64 key;
  std::array<std::uint8_t, 16> host_id{};
  Reserved<32> reserved32{};
};
static_assert(sizeof(RegisteredControllerExtended) == 64);

}  // namespace spdkio::spec
