// What controllers are attached with when the call does not say.
#pragma once

#include <spdkio/nvme/options.hpp>
#include <spdkio/rpc/params.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace spdkio::bdev::nvme_disk {

/// What `bdev_nvme_set_options` leaves for the controllers that are attached later.
struct Defaults {
  std::string action_on_timeout = "none";
  std::uint64_t timeout_us = 0;
  std::uint64_t timeout_admin_us = 0;
  std::uint32_t keep_alive_timeout_ms = 10000;
  std::int32_t bdev_retry_count = 3;
  std::int32_t ctrlr_loss_timeout_sec = 600;
  std::uint32_t reconnect_delay_sec = 0;
  std::uint32_t fast_io_fail_timeout_sec = 0;
  std::uint8_t transport_tos = 0;

  void fields(rpc::Params& params);
  /// All but the reconnect policy.
  nvme::ControllerOptions controller_options() const;
};

/// Any OS thread.
Defaults defaults();
void set_defaults(const Defaults& values);

/// What calls that attach may say about reconnecting, else the defaults hold.
struct ReconnectParams {
  std::optional<std::int32_t> ctrlr_loss_timeout_sec;
  std::optional<std::uint32_t> reconnect_delay_sec;
  std::optional<std::uint32_t> fast_io_fail_timeout_sec;

  void fields(rpc::Params& params);
  nvme::ReconnectPolicy policy(const Defaults& set) const;
};
/// The same as a call says it.
nlohmann::ordered_json reconnect_json(const nvme::ReconnectPolicy& policy);

/// Whole milliseconds, not fewer than there are, at most twelve days.
std::chrono::milliseconds ms_of(std::uint64_t us) noexcept;

}  // namespace spdkio::bdev::nvme_disk
