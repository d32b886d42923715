// Reservations of namespaces. NVMe Base Specification 2.x, "Reservations".
#pragma once

#include <spdkio/spec/reservation.hpp>

#include <array>
#include <cstdint>
#include <vector>

namespace spdkio::nvme {

struct ReservationRegister {
  spec::RegisterAction action = spec::RegisterAction::register_key;
  std::uint64_t current_key = 0;
  std::uint64_t new_key = 0;
  bool ignore_existing_key = false;
  spec::PersistThroughPowerLoss persist = spec::PersistThroughPowerLoss::no_change;
};

struct ReservationAcquire {
  spec::AcquireAction action = spec::AcquireAction::acquire;
  spec::ReservationType type = spec::ReservationType::write_exclusive;
  std::uint64_t current_key = 0;
  std::uint64_t preempt_key = 0;
};

struct ReservationRelease {
  spec::ReleaseAction action = spec::ReleaseAction::release;
  spec::ReservationType type = spec::ReservationType::write_exclusive;
  std::uint64_t current_key = 0;
};

struct Registrant {
  std::uint16_t controller_id = 0;
  bool holds_reservation = false;
  std::uint64_t key = 0;
  /// Little endian; controllers with 64-bit host identifiers fill the first 8 bytes.
  std::array<std::uint8_t, 16> host_id{};
};

struct ReservationReport {
  std::uint32_t generation = 0;
  spec::ReservationType type = spec::ReservationType::none;
  bool persists_through_power_loss = false;
  std::vector<Registrant> registrants;
};

}  // namespace spdkio::nvme
