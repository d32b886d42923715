// SpdkTarget: SPDK's own NVMe-oF target behind nvmf::Target.
#pragma once

#include <spdkio/runtime/event.hpp>

#include <spdk/nvmf.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine_spdk/control.hpp"
#include "engine_spdk/nvmf/poll_group.hpp"
#include "engine_spdk/nvmf/spdk_subsystem.hpp"
#include "nvmf/target_backend.hpp"

namespace spdkio::spdk {

/// Its own in SPDK, next to the one of SPDK's programs. Owned by SPDK's app thread there, as SPDK's RPC methods expect
/// it; connections are polled by Threads on the reactors.
class SpdkTarget final : public nvmf::TargetBackend, public std::enable_shared_from_this<SpdkTarget> {
 public:
  SpdkTarget(Control& control, const nvmf::TargetOptions& options);

  Control& control() const noexcept { return control_; }
  /// Fixed once it is open. Of the app thread.
  spdk_nvmf_tgt* get() const noexcept { return target_; }

  /// The part of `destroy` that is SPDK's. Any Thread; only the first call does it, the others wait for it.
  Task<> tear_down();

  std::uint32_t max_subsystems() const noexcept override { return max_subsystems_; }
  Task<> destroy() override;
  Task<> add_transport(nvme::TransportType type, nvmf::TransportSettings settings) override;
  const nvmf::TransportSettings* transport(nvme::TransportType type) const noexcept override;
  Task<std::shared_ptr<nvmf::SubsystemBackend>> create(std::string nqn, nvmf::SubsystemOptions options) override;
  std::vector<std::shared_ptr<nvmf::SubsystemBackend>> list() const override;
  void set_admission(nvmf::AdmissionHook hook) override;
  Task<std::optional<nvmf::HostEvent>> next_host_event() override;
  Task<std::vector<nvmf::ConnectionStats>> connections() override;
  Task<std::vector<nvmf::PollGroupStats>> poll_groups() override;

  void forget_subsystem(const SpdkSubsystem& subsystem) noexcept;
  /// Sends what can't be waited for to the app thread, in order. `undo` runs on the Thread of the target when SPDK
  /// refuses `fn`, after a line in the log.
  void carry(std::string what, std::function<int()> fn, std::function<void()> undo);
  [[noreturn]] void not_supported(const char* operation, std::string what, std::string hint) const;

 private:
  Task<> open(std::string mask) override;
  Task<> make_target();
  void referral_added(const nvmf::Referral& referral) override;
  void referral_removed(const nvmf::Referral& referral) override;

  Control& control_;
  const std::uint32_t max_subsystems_;
  spdk_nvmf_tgt* target_ = nullptr;
  std::vector<std::unique_ptr<TargetPollGroup>> groups_;
  std::map<nvme::TransportType, nvmf::TransportSettings> transports_;
  std::vector<std::shared_ptr<SpdkSubsystem>> subsystems_;  // the discovery subsystem first
  bool destroying_ = false;
  Event destroyed_event_;
  std::atomic<bool> tearing_down_{false};
  std::atomic<bool> torn_down_{false};
};

}  // namespace spdkio::spdk
