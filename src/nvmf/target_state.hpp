// TargetState: a target on its own Thread: transports, listeners, subsystems, and the poll groups.
#pragma once

#include <spdkio/runtime/event.hpp>

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nvmf/poll_group.hpp"
#include "nvmf/subsystem_state.hpp"
#include "nvmf/target_backend.hpp"
#include "nvmf/transport_settings.hpp"

namespace spdkio::nvmf {

namespace tcp {
class Listener;
}

using DiscoveryLog = std::vector<std::byte>;

class TargetState final : public TargetBackend, public std::enable_shared_from_this<TargetState> {
 public:
  explicit TargetState(const TargetOptions& options);
  ~TargetState() override;

  // ---- any thread
  void connection_closed() noexcept { --connections_; }

  // ---- on its Thread
  Task<> destroy() override;
  std::uint32_t max_subsystems() const noexcept override { return options_.max_subsystems; }

  Task<> add_transport(nvme::TransportType type, TransportSettings settings) override;
  const TransportSettings* transport(nvme::TransportType type) const noexcept override {
    return type == nvme::TransportType::tcp && transport_ ? &*transport_ : nullptr;
  }
  const std::optional<TransportSettings>& transport() const noexcept { return transport_; }

  Task<std::shared_ptr<SubsystemBackend>> create(std::string nqn, SubsystemOptions options) override;
  std::vector<std::shared_ptr<SubsystemBackend>> list() const override {
    return {subsystems_.begin(), subsystems_.end()};
  }
  std::shared_ptr<SubsystemState> find_subsystem(std::string_view nqn) const;
  const std::vector<std::shared_ptr<SubsystemState>>& subsystems() const noexcept { return subsystems_; }
  void forget_subsystem(const SubsystemState& subsystem) noexcept;
  const std::vector<std::unique_ptr<PollGroup>>& groups() const noexcept { return groups_; }

  /// Listens, or takes part in what listens there already. Gives the address with its port.
  Task<nvme::TransportId> listen(nvme::TransportId where);
  /// The last one that leaves ends it.
  void stop_listening(const nvme::TransportId& where) noexcept;
  /// Of a connection that a listener accepted.
  void accepted(UniqueFd fd, const nvme::TransportId& listener);

  /// What a Connect command of an admin queue comes to: a controller, or why there is none.
  struct Admission {
    std::shared_ptr<Controller> controller;
    NvmeStatus status;
    std::uint32_t parameter = 0;  ///< DW0 of the completion
  };
  Task<Admission> admit(HostConnect host, std::uint16_t cntlid, ThreadHandle thread);
  /// The same for an I/O queue: the controller that it belongs to.
  Admission find_controller(const HostConnect& host, std::uint16_t cntlid) const;

  /// The page for a host: the active subsystems that it may use.
  std::shared_ptr<const DiscoveryLog> discovery_log(const HostConnect& host) const;
  void discovery_changed();

  void set_admission(AdmissionHook hook) override { admission_ = std::move(hook); }
  Task<std::optional<HostEvent>> next_host_event() override;
  void host_event(HostEvent event);

  Task<std::vector<ConnectionStats>> connections() override;
  Task<std::vector<PollGroupStats>> poll_groups() override;

 private:
  Task<> open(std::string mask) override;
  void referral_added(const Referral&) override { discovery_changed(); }
  void referral_removed(const Referral&) override { discovery_changed(); }

  const TargetOptions options_;
  std::atomic<std::uint32_t> connections_{0};

  bool destroying_ = false;
  std::vector<std::unique_ptr<PollGroup>> groups_;
  std::size_t next_group_ = 0;
  std::optional<TransportSettings> transport_;
  std::vector<std::shared_ptr<SubsystemState>> subsystems_;  // the discovery subsystem first
  std::vector<std::unique_ptr<tcp::Listener>> listeners_;
  AdmissionHook admission_;
  std::uint64_t generation_ = 1;
  std::deque<HostEvent> host_events_;
  Event host_event_there_;
  Event destroyed_event_;
};

}  // namespace spdkio::nvmf
