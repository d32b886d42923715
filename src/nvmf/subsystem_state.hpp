// SubsystemState: a subsystem on the Thread of its target. What it is does not change; what it has is carried to the
// poll threads as SubsystemViews.
#pragma once

#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/mutex.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nvmf/controller.hpp"
#include "nvmf/subsystem_backend.hpp"
#include "nvmf/subsystem_view.hpp"

namespace spdkio::nvmf {

class TargetState;

class SubsystemState final : public SubsystemBackend, public std::enable_shared_from_this<SubsystemState> {
 public:
  /// Throws Misuse::invalid_argument.
  SubsystemState(TargetState& target, std::string nqn, const SubsystemOptions& options);

  /// Any thread: the controller's queues have gone, as far as it knows.
  static void forget_controller(const std::shared_ptr<SubsystemState>& subsystem,
                                const std::shared_ptr<Controller>& controller) noexcept;

  // ---- on the target's Thread
  Task<std::uint32_t> add_namespace(std::string bdev_name, NamespaceOptions options) override;
  Task<> remove_namespace(std::uint32_t nsid) override;
  std::vector<NamespaceInfo> namespaces() const override;

  Task<nvme::TransportId> add_listener(nvme::TransportId where) override;
  Task<> remove_listener(nvme::TransportId where) override;

  Task<> remove_host(std::string hostnqn) override;
  bool allows(const std::string& hostnqn) const { return any_host_ || hosts_.contains(hostnqn); }
  Task<> disconnect_host(std::string hostnqn) override;

  Task<> start() override;
  Task<> stop() override;
  Task<> pause() override;
  Task<> resume() override;
  Task<> destroy() override;

  std::vector<ControllerInfo> controllers() const override;
  const std::map<std::uint16_t, std::shared_ptr<Controller>>& controller_map() const noexcept { return controllers_; }
  /// With the next free id, on that thread; null when all are given out.
  std::shared_ptr<Controller> make_controller(HostConnect host, const ThreadHandle& thread);
  std::shared_ptr<Controller> find_controller(std::uint16_t cntlid) const;

 private:
  struct Namespace {
    std::shared_ptr<const NamespaceTraits> traits;
    std::shared_ptr<BdevDesc> desc;
  };

  void any_host_changed() override;
  void host_added(const std::string& hostnqn) override;
  static Task<> watch(std::shared_ptr<SubsystemState> self, std::uint32_t nsid, std::shared_ptr<BdevDesc> desc);
  Task<> remove_namespace_locked(std::uint32_t nsid);
  Task<> stop_locked();
  Task<> add_to_groups(std::shared_ptr<const NamespaceTraits> traits);
  Task<> remove_from_groups(std::uint32_t nsid);
  void announce_namespace(std::uint32_t nsid);
  Task<> close_controllers(std::vector<std::shared_ptr<Controller>> gone, std::string why);

  TargetState& target_;
  std::map<std::uint32_t, Namespace> namespaces_;
  std::map<std::uint16_t, std::shared_ptr<Controller>> controllers_;
  std::uint16_t next_cntlid_;
  Mutex changing_;  // one change at a time
  Event controller_gone_;
};

}  // namespace spdkio::nvmf
