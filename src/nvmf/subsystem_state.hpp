// SubsystemState: a subsystem on the Thread of its target. What it is does not change; what it has is carried to the
// poll threads as SubsystemViews.
#pragma once

#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/nvmf/subsystem.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/mutex.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "nvmf/controller.hpp"
#include "nvmf/subsystem_view.hpp"

namespace spdkio::nvmf {

class TargetState;

class SubsystemState : public std::enable_shared_from_this<SubsystemState> {
 public:
  /// Throws Misuse::invalid_argument.
  SubsystemState(TargetState& target, std::string nqn, const SubsystemOptions& options);
  SubsystemState(const SubsystemState&) = delete;
  SubsystemState& operator=(const SubsystemState&) = delete;

  // ---- fixed: any thread
  const std::string& nqn() const noexcept { return nqn_; }
  bool is_discovery() const noexcept { return discovery_; }
  const std::string& serial_number() const noexcept { return serial_number_; }
  const std::string& model_number() const noexcept { return model_number_; }
  std::uint32_t max_namespaces() const noexcept { return max_namespaces_; }
  std::uint16_t min_cntlid() const noexcept { return min_cntlid_; }
  std::uint16_t max_cntlid() const noexcept { return max_cntlid_; }

  /// Any thread: the controller's queues have gone, as far as it knows.
  static void forget_controller(const std::shared_ptr<SubsystemState>& subsystem,
                                const std::shared_ptr<Controller>& controller) noexcept;

  // ---- on the target's Thread
  /// Throws Misuse::wrong_thread, or ENODEV once destroyed.
  void require_usable(const char* operation) const;
  SubsystemStatus status() const noexcept { return status_; }

  Task<std::uint32_t> add_namespace(std::string bdev_name, NamespaceOptions options);
  Task<> remove_namespace(std::uint32_t nsid);
  std::vector<NamespaceInfo> namespaces() const;

  Task<nvme::TransportId> add_listener(nvme::TransportId where);
  Task<> remove_listener(nvme::TransportId where);
  const std::vector<nvme::TransportId>& listeners() const noexcept { return listeners_; }
  bool listens_on(const nvme::TransportId& where) const noexcept;

  void allow_any_host(bool allowed);
  bool any_host_allowed() const noexcept { return any_host_; }
  void add_host(std::string hostnqn);
  Task<> remove_host(std::string hostnqn);
  const std::set<std::string>& hosts() const noexcept { return hosts_; }
  bool allows(const std::string& hostnqn) const { return any_host_ || hosts_.contains(hostnqn); }
  Task<> disconnect_host(std::string hostnqn);

  Task<> start();
  Task<> stop();
  Task<> pause();
  Task<> resume();
  Task<> destroy();

  std::vector<ControllerInfo> controllers() const;
  const std::map<std::uint16_t, std::shared_ptr<Controller>>& controller_map() const noexcept { return controllers_; }
  /// With the next free id, on that thread; null when all are given out.
  std::shared_ptr<Controller> make_controller(HostConnect host, const ThreadHandle& thread);
  std::shared_ptr<Controller> find_controller(std::uint16_t cntlid) const;

 private:
  struct Namespace {
    std::shared_ptr<const NamespaceTraits> traits;
    std::shared_ptr<BdevDesc> desc;
  };

  static Task<> watch(std::shared_ptr<SubsystemState> self, std::uint32_t nsid, std::shared_ptr<BdevDesc> desc);
  Task<> remove_namespace_locked(std::uint32_t nsid);
  Task<> stop_locked();
  Task<> add_to_groups(std::shared_ptr<const NamespaceTraits> traits);
  Task<> remove_from_groups(std::uint32_t nsid);
  void announce_namespace(std::uint32_t nsid);
  Task<> close_controllers(std::vector<std::shared_ptr<Controller>> gone, std::string why);

  TargetState& target_;
  const std::string nqn_;
  const bool discovery_;
  std::string serial_number_;
  std::string model_number_;
  std::uint32_t max_namespaces_;
  std::uint16_t min_cntlid_;
  std::uint16_t max_cntlid_;

  SubsystemStatus status_ = SubsystemStatus::inactive;
  bool any_host_;
  std::set<std::string> hosts_;
  std::vector<nvme::TransportId> listeners_;
  std::map<std::uint32_t, Namespace> namespaces_;
  std::map<std::uint16_t, std::shared_ptr<Controller>> controllers_;
  std::uint16_t next_cntlid_;
  Mutex changing_;  // one change at a time
  Event controller_gone_;
};

}  // namespace spdkio::nvmf
