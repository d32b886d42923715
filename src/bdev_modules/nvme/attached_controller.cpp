#include "bdev_modules/nvme/attached_controller.hpp"

#include <spdkio/base/error_context.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <utility>

#include "bdev_modules/nvme/nvme_defaults.hpp"
#include "bdev_modules/nvme/nvme_device.hpp"
#include "nvme/keeping.hpp"

namespace spdkio::bdev::nvme_disk {
namespace {

struct List {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<AttachedController>, std::less<>> controllers;
  std::set<std::string, std::less<>> taken;  // also of those that are being attached
  static List& instance() {
    static List list;
    return list;
  }
};

/// A name that nobody else may attach under.
class NameClaim {
 public:
  explicit NameClaim(std::string name) : name_(std::move(name)) {
    List& list = List::instance();
    const std::lock_guard lock(list.mutex);
    if (!list.taken.insert(name_).second) {
      throw Error(std::errc::file_exists, "a controller of that name is attached already")
          .with_operation("attach")
          .with_device(name_);
    }
  }
  NameClaim(const NameClaim&) = delete;
  ~NameClaim() {
    if (kept_) return;
    List& list = List::instance();
    const std::lock_guard lock(list.mutex);
    list.taken.erase(name_);
  }
  void keep() noexcept { kept_ = true; }

 private:
  std::string name_;
  bool kept_ = false;
};

}  // namespace

std::shared_ptr<AttachedController> AttachedController::find(std::string_view name) {
  List& list = List::instance();
  const std::lock_guard lock(list.mutex);
  const auto found = list.controllers.find(name);
  if (found == list.controllers.end()) {
    throw Error(std::errc::no_such_device, "no NVMe controller of that name is attached").with_device(name);
  }
  return found->second;
}

std::vector<std::shared_ptr<AttachedController>> AttachedController::all() {
  List& list = List::instance();
  const std::lock_guard lock(list.mutex);
  std::vector<std::shared_ptr<AttachedController>> all;
  for (const auto& [name, controller] : list.controllers) all.push_back(controller);
  return all;
}

Task<std::shared_ptr<AttachedController>> AttachedController::attach(std::string name,
                                                                     nvme::ControllerSettings settings, Saved saved) {
  NameClaim claim(name);
  auto connecting = nvme::ControllerCore::connect(std::move(settings));
  auto core = co_await std::move(connecting);
  auto controller = std::make_shared<AttachedController>(std::move(name), std::move(core), saved);
  auto registering = controller->register_namespaces();
  const auto registered = co_await as_result(std::move(registering));
  if (!registered) {
    auto ending = controller->end();
    co_await std::move(ending);
    throw registered.error();
  }
  {
    List& list = List::instance();
    const std::lock_guard lock(list.mutex);
    list.controllers.emplace(controller->name_, controller);
  }
  claim.keep();
  CurrentThread::spawn(nvme::keeping(controller, controller->follow()), "nvme bdevs of " + controller->name_).detach();
  co_return controller;
}

std::vector<std::string> AttachedController::bdev_names() const {
  std::vector<std::string> names;
  for (const auto& [nsid, name] : bdevs_) names.push_back(name);
  return names;
}

// ---- namespaces

Task<> AttachedController::register_namespaces() {
  for (const auto& space : core_->active_namespaces()) {
    auto registering = register_namespace(space->nsid);
    co_await std::move(registering);
  }
}

Task<> AttachedController::register_namespace(std::uint32_t nsid) {
  const ErrorContext doing("making a bdev of namespace {} of {}", nsid, name_);
  const auto space = core_->find_namespace(nsid);
  if (space == nullptr || !space->active.load() || bdevs_.contains(nsid)) co_return;
  const auto info = space->info();
  if (info->command_set != spec::Csi::nvm || info->num_blocks == 0) {
    log::warn("{}: namespace {} becomes no bdev: {}", name_, nsid,
              info->num_blocks == 0 ? "it has no blocks" : "its command set is not NVM");
    co_return;
  }
  std::string name = fmt::format("{}n{}", name_, nsid);
  auto device = std::make_unique<NvmeDevice>(name, shared_from_this(), space);
  bdevs_.emplace(nsid, std::move(name));
  first_nsid_ = bdevs_.begin()->first;
  auto registering = Service::current().register_device(std::move(device));
  const auto registered = co_await as_result(std::move(registering));
  if (registered) co_return;
  bdevs_.erase(nsid);
  first_nsid_ = bdevs_.empty() ? 0 : bdevs_.begin()->first;
  throw registered.error();
}

Task<> AttachedController::unregister_namespace(std::uint32_t nsid) {
  const auto found = bdevs_.find(nsid);
  if (found == bdevs_.end()) co_return;
  const std::string name = std::move(found->second);
  bdevs_.erase(found);
  first_nsid_ = bdevs_.empty() ? 0 : bdevs_.begin()->first;
  auto removing = Service::current().unregister_device(name);
  const auto removed = co_await as_result(std::move(removing));
  if (!removed) log::debug("{}: {}", name, removed.error().what());  // somebody else removed it
}

// ---- life

Task<> AttachedController::follow() {
  const auto self = shared_from_this();
  for (;;) {
    auto next = core_->next_event();
    auto event = co_await as_result(std::move(next));
    if (!event || !*event) break;
    const bool failed = (*event)->kind == nvme::ControllerEvent::Kind::failed;
    auto handling = handle(std::move(**event));
    const auto handled = co_await as_result(std::move(handling));
    if (!handled) log::error("{}: {}", name_, handled.error().what());
    if (failed) break;
  }
  auto ending = end();
  co_await std::move(ending);
  followed_.set();
}

Task<> AttachedController::handle(nvme::ControllerEvent event) {
  switch (event.kind) {
    case nvme::ControllerEvent::Kind::namespace_added: return register_namespace(event.nsid);
    case nvme::ControllerEvent::Kind::namespace_removed: return unregister_namespace(event.nsid);
    case nvme::ControllerEvent::Kind::namespace_changed:
      return [](std::shared_ptr<AttachedController> self, std::uint32_t nsid) -> Task<> {
        const auto found = self->bdevs_.find(nsid);
        const auto space = self->core_->find_namespace(nsid);
        if (found == self->bdevs_.end() || space == nullptr) co_return;
        const auto device = Service::current().find(found->second);
        const auto info = space->info();
        const std::uint32_t block = info->block_size + (info->metadata_interleaved ? info->metadata_size : 0);
        if (device != nullptr && device->geometry().block_size == block &&
            device->geometry().metadata_size == info->metadata_size && info->num_blocks != 0) {
          if (device->num_blocks().value != info->num_blocks) {
            Service::current().notify_resize(found->second, BlockCount{info->num_blocks});
          }
          co_return;
        }
        // Another format: another disk, to those that have it open.
        auto removing = self->unregister_namespace(nsid);
        co_await std::move(removing);
        auto adding = self->register_namespace(nsid);
        co_await std::move(adding);
      }(shared_from_this(), event.nsid);
    default: return []() -> Task<> { co_return; }();
  }
}

/// Idempotent.
Task<> AttachedController::end() {
  if (std::exchange(ending_, true)) co_return;
  const auto self = shared_from_this();
  // What waits for the controller ends first, so that the bdevs can.
  auto detaching = core_->detach();
  [[maybe_unused]] const auto detached = co_await as_result(std::move(detaching));
  while (!bdevs_.empty()) {
    auto removing = unregister_namespace(bdevs_.begin()->first);
    [[maybe_unused]] const auto removed = co_await as_result(std::move(removing));
  }
  List& list = List::instance();
  const std::lock_guard lock(list.mutex);
  const auto found = list.controllers.find(name_);
  if (found == list.controllers.end() || found->second != self) co_return;
  list.controllers.erase(found);
  list.taken.erase(name_);
}

Task<> AttachedController::detach() {
  const auto self = shared_from_this();
  // `follow` hears that the controller is gone, and ends the rest.
  auto ask = [self]() -> Task<> {
    auto detaching = self->core_->detach();
    co_await std::move(detaching);
    auto waiting = self->followed_.wait();
    co_await std::move(waiting);
  };
  auto calling = home_.call(moved(std::move(ask)));
  co_await std::move(calling);
}

nlohmann::ordered_json AttachedController::config_of(std::uint32_t nsid) const {
  if (saved_ == Saved::no || nsid != first_nsid_.load()) return nullptr;
  const nvme::ControllerSettings& settings = core_->settings();
  const nvme::TransportId& id = settings.id;
  nlohmann::ordered_json params{{"name", name_}, {"trtype", to_string(id.trtype)}, {"traddr", id.traddr}};
  if (id.trtype != nvme::TransportType::pcie) {
    if (id.adrfam != nvme::AddressFamily::unspecified) params["adrfam"] = to_string(id.adrfam);
    params["trsvcid"] = id.trsvcid;
    params["subnqn"] = id.subnqn;
    params["hostnqn"] = settings.host_nqn;
    if (!id.hostaddr.empty()) params["hostaddr"] = id.hostaddr;
    if (!id.hostsvcid.empty()) params["hostsvcid"] = id.hostsvcid;
    params["hdgst"] = settings.header_digest;
    params["ddgst"] = settings.data_digest;
  }
  params["num_io_queues"] = settings.num_io_queues;
  params.update(reconnect_json(settings.reconnect));
  return {{"method", "bdev_nvme_attach_controller"}, {"params", std::move(params)}};
}

}  // namespace spdkio::bdev::nvme_disk
