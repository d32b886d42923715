// DiscoveryService: follows the log of a discovery service, and attaches and detaches controllers as it says.
#pragma once

#include <spdkio/nvme/discover.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nvme/controller_core.hpp"
#include "nvme/settings.hpp"

namespace spdkio::bdev::nvme_disk {

/// Belongs to the Thread that started it. The controllers are named `<name>0`, `<name>1` and so on. A subsystem that
/// several entries lead to is attached by the first of them; when that one goes, by another.
class DiscoveryService : public std::enable_shared_from_this<DiscoveryService> {
 public:
  /// `service`: the discovery controller. `controllers`: what is attached, with their addresses left open.
  DiscoveryService(std::string name, nvme::ControllerSettings service, nvme::ControllerSettings controllers)
      : name_(std::move(name)),
        service_(std::move(service)),
        controllers_(std::move(controllers)),
        home_(CurrentThread::handle()) {}

  /// Enters it into the list and starts its task. Throws EEXIST.
  static std::shared_ptr<DiscoveryService> start(std::string name, nvme::ControllerSettings service,
                                                 nvme::ControllerSettings controllers);
  /// Throws ENODEV. Any OS thread.
  static std::shared_ptr<DiscoveryService> find(std::string_view name);
  static std::vector<std::shared_ptr<DiscoveryService>> all();

  const std::string& name() const noexcept { return name_; }
  /// Returns when all that the log lists was attached, or could not be. On its Thread.
  Task<> wait_for_attach();
  /// Detaches what it attached, and ends. From any Thread.
  Task<> stop();
  /// As `bdev_nvme_get_discovery_info` shows it. From any Thread.
  Task<nlohmann::ordered_json> info();
  /// The call that starts it again. Any OS thread.
  nlohmann::ordered_json config() const;

 private:
  struct Attached {
    std::string controller;
    nvme::TransportId id;
  };

  Task<> run();
  Task<> follow();
  Task<bool> reconcile(std::vector<nvme::DiscoveryEntry> entries);
  Task<> detach(const Attached& attached);
  Task<> end();
  void forget() noexcept;

  const std::string name_;
  const nvme::ControllerSettings service_;
  const nvme::ControllerSettings controllers_;
  const ThreadHandle home_;
  std::shared_ptr<nvme::ControllerCore> core_;
  std::optional<JoinHandle<>> running_;
  std::map<std::string, Attached, std::less<>> attached_;  // by the subsystem's NQN
  std::vector<nvme::TransportId> referrals_;
  std::uint32_t next_number_ = 0;
  bool stopping_ = false;
  Event first_round_;
  Event ended_;
};

}  // namespace spdkio::bdev::nvme_disk
