// SpdkSubsystem: a subsystem of SPDK's own target.
#pragma once

#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/runtime/mutex.hpp>

#include <spdk/nvmf.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine_spdk/control.hpp"
#include "engine_spdk/nvmf/outcome.hpp"
#include "engine_spdk/nvmf/subsystem_change.hpp"
#include "nvmf/subsystem_backend.hpp"

namespace spdkio::spdk {

class SpdkTarget;

/// What it has is kept on the Thread of the target too, which asks SPDK's app thread for each change.
class SpdkSubsystem final : public nvmf::SubsystemBackend, public std::enable_shared_from_this<SpdkSubsystem> {
 public:
  /// Throws Misuse::invalid_argument. `make` makes it known to SPDK.
  SpdkSubsystem(SpdkTarget& target, std::string nqn, const nvmf::SubsystemOptions& options);
  Task<> make();

  Task<std::uint32_t> add_namespace(std::string bdev_name, nvmf::NamespaceOptions options) override;
  Task<> remove_namespace(std::uint32_t nsid) override;
  std::vector<nvmf::NamespaceInfo> namespaces() const override;

  Task<nvme::TransportId> add_listener(nvme::TransportId where) override;
  Task<> remove_listener(nvme::TransportId where) override;

  Task<> remove_host(std::string hostnqn) override;
  Task<> disconnect_host(std::string hostnqn) override;

  Task<> start() override;
  Task<> stop() override;
  Task<> pause() override;
  Task<> resume() override;
  Task<> destroy() override;

  std::vector<nvmf::ControllerInfo> controllers() const override;

  /// Without SPDK, which has lost it already.
  Task<> forget();

 private:
  struct Namespace {
    nvmf::NamespaceInfo info;
    std::shared_ptr<bdev::DeviceState> device;
    std::shared_ptr<BdevDesc> desc;
  };
  struct Listener {
    nvme::TransportId where;
    spdk_nvme_transport_id id;
  };
  using StateFunction = std::function<int(spdk_nvmf_subsystem*, spdk_nvmf_subsystem_state_change_done, void*)>;

  static Task<> watch(std::shared_ptr<SpdkSubsystem> self, std::uint32_t nsid, std::shared_ptr<BdevDesc> desc);
  void announce();
  void any_host_changed() override;
  void host_added(const std::string& hostnqn) override;
  Task<Outcome> change(std::uint32_t nsid, SubsystemChange::Step step);
  Task<Outcome> change_state(StateFunction function);
  Task<Outcome> pause_all();
  Task<> stay_paused(std::uint32_t nsid);
  Task<> disconnect(std::string hostnqn);

  SpdkTarget& target_;
  Control& control_;
  spdk_nvmf_subsystem* subsystem_ = nullptr;  // of the app thread
  std::map<std::uint32_t, Namespace> namespaces_;
  std::vector<Listener> spdk_listeners_;
  Mutex changing_;  // one change at a time
};

/// Stops it, ends its listeners and destroys it. What SPDK refuses is logged.
Task<> destroy_spdk_subsystem(Control& control, spdk_nvmf_tgt* target, spdk_nvmf_subsystem* subsystem);

}  // namespace spdkio::spdk
