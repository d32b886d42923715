// AttachedController: a controller whose namespaces are bdevs; and the list of all of them.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/nvme/controller.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>

#include <nlohmann/json.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "nvme/controller_core.hpp"
#include "nvme/settings.hpp"

namespace spdkio::bdev::nvme_disk {

/// Belongs to the Thread that attached it. A task there follows the controller's events until the end.
class AttachedController : public std::enable_shared_from_this<AttachedController> {
 public:
  /// Whether a saved configuration attaches it: not what a discovery service brings along.
  enum class Saved : bool { no, yes };

  AttachedController(std::string name, std::shared_ptr<nvme::ControllerCore> core, Saved saved)
      : name_(std::move(name)), core_(std::move(core)), home_(CurrentThread::handle()), saved_(saved) {}

  /// Connects, registers, and enters it into the list.
  static Task<std::shared_ptr<AttachedController>> attach(std::string name, nvme::ControllerSettings settings,
                                                          Saved saved = Saved::yes);
  /// Of that name; ENODEV when there is none. Any OS thread.
  static std::shared_ptr<AttachedController> find(std::string_view name);
  static std::vector<std::shared_ptr<AttachedController>> all();

  const std::string& name() const noexcept { return name_; }
  const std::shared_ptr<nvme::ControllerCore>& core() const noexcept { return core_; }
  /// Removes the bdevs, disconnects, and takes it out of the list. From any Thread.
  Task<> detach();
  /// In the order of their namespaces. On its Thread.
  std::vector<std::string> bdev_names() const;
  /// The call that attaches it again, for the bdev of its first namespace; null for the others.
  nlohmann::ordered_json config_of(std::uint32_t nsid) const;

 private:
  Task<> register_namespaces();
  Task<> register_namespace(std::uint32_t nsid);
  Task<> unregister_namespace(std::uint32_t nsid);
  Task<> follow();
  Task<> handle(nvme::ControllerEvent event);
  Task<> end();

  const std::string name_;
  const std::shared_ptr<nvme::ControllerCore> core_;
  const ThreadHandle home_;
  const Saved saved_;
  std::map<std::uint32_t, std::string> bdevs_;
  std::atomic<std::uint32_t> first_nsid_{0};
  bool ending_ = false;
  Event followed_;
};

}  // namespace spdkio::bdev::nvme_disk
