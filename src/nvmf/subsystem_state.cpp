#include "nvmf/subsystem_state.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/error_context.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "nvmf/namespace_device.hpp"
#include "nvmf/poll_group.hpp"
#include "nvmf/target_state.hpp"

namespace spdkio::nvmf {

SubsystemState::SubsystemState(TargetState& target, std::string nqn, const SubsystemOptions& options)
    : SubsystemBackend(target, std::move(nqn), options), target_(target), next_cntlid_(options.min_cntlid) {}

// ---- namespaces

Task<std::uint32_t> SubsystemState::add_namespace(std::string bdev_name, NamespaceOptions options) {
  const auto self = shared_from_this();
  const ErrorContext doing("adding {} to subsystem {}", bdev_name, nqn());
  const auto guard = co_await changing_.lock();
  require_usable("add_namespace");
  if (is_discovery()) refuse("a discovery subsystem has no namespaces");
  std::set<std::uint32_t> taken;
  for (const auto& [each, ns] : namespaces_) taken.insert(each);
  const std::uint32_t nsid = choose_nsid(options.nsid, taken);
  auto opening = open_namespace_device(bdev_name, nqn(), ZonedDevices::refused);
  const NamespaceDevice opened = co_await std::move(opening);
  const std::shared_ptr<BdevDesc> desc = opened.desc;
  std::exception_ptr failure;
  try {
    auto traits = std::make_shared<NamespaceTraits>();
    traits->nsid = nsid;
    traits->bdev_name = desc->name();
    traits->device = desc->state()->shared_device();
    traits->uuid = options.uuid.is_nil() ? traits->device->uuid() : options.uuid;
    traits->nguid = options.nguid;
    if (std::ranges::all_of(traits->nguid, [](std::uint8_t b) { return b == 0; })) traits->nguid = traits->uuid.bytes;
    traits->eui64 = options.eui64;
    traits->writable = opened.writable;
    co_await add_to_groups(traits);
    namespaces_[nsid] = {traits, desc};
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await remove_from_groups(nsid);
    co_await desc->close();
    std::rethrow_exception(failure);
  }
  [[maybe_unused]] auto watching = CurrentThread::spawn(watch(self, nsid, desc), "nvmf namespace " + desc->name());
  announce_namespace(nsid);
  co_return nsid;
}

Task<> SubsystemState::add_to_groups(std::shared_ptr<const NamespaceTraits> traits) {
  for (const auto& group : target_.groups()) {
    auto add = [group = group.get(), this, traits] {
      if (SubsystemView* const view = group->view(nqn())) view->add(traits);
    };
    co_await group->thread().call(add);
  }
}

Task<> SubsystemState::remove_from_groups(std::uint32_t nsid) {
  for (const auto& group : target_.groups()) {
    auto remove = [group = group.get(), this, nsid]() -> Task<> {
      if (SubsystemView* const view = group->view(nqn())) return view->remove(nsid);
      return []() -> Task<> { co_return; }();
    };
    co_await group->thread().call(remove);
  }
}

/// Follows the device: its removal is the namespace's, and hosts hear of a new size.
Task<> SubsystemState::watch(std::shared_ptr<SubsystemState> self, std::uint32_t nsid, std::shared_ptr<BdevDesc> desc) {
  try {
    while (const auto event = co_await desc->next_event()) {
      if (event->type == bdev::BdevEventType::resize) {
        self->announce_namespace(nsid);
      } else if (event->type == bdev::BdevEventType::remove) {
        log::info("nvmf: block device '{}' was removed, and with it namespace {} of {}", desc->name(), nsid,
                  self->nqn());
        co_await self->remove_namespace(nsid);
        co_return;
      }
    }
  } catch (const Error& error) {
    self->watch_failed(nsid, error);
  }
}

Task<> SubsystemState::remove_namespace(std::uint32_t nsid) {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("remove_namespace");
  co_await remove_namespace_locked(nsid);
}

Task<> SubsystemState::remove_namespace_locked(std::uint32_t nsid) {
  const auto found = namespaces_.find(nsid);
  if (found == namespaces_.end()) {
    throw Error(std::errc::no_such_file_or_directory, fmt::format("there is no namespace {}", nsid))
        .with_operation("remove_namespace")
        .with_device(nqn());
  }
  const Namespace removed = std::move(found->second);
  namespaces_.erase(found);
  co_await remove_from_groups(nsid);
  announce_namespace(nsid);
  co_await removed.desc->close();
}

std::vector<NamespaceInfo> SubsystemState::namespaces() const {
  std::vector<NamespaceInfo> list;
  for (const auto& [nsid, ns] : namespaces_) {
    list.push_back({.nsid = nsid,
                    .bdev_name = ns.traits->bdev_name,
                    .uuid = ns.traits->uuid,
                    .nguid = ns.traits->nguid,
                    .eui64 = ns.traits->eui64,
                    .num_blocks = ns.traits->device->num_blocks().value,
                    .block_size = ns.traits->block_size()});
  }
  return list;
}

void SubsystemState::announce_namespace(std::uint32_t nsid) {
  for (const auto& [cntlid, controller] : controllers_) {
    [[maybe_unused]] const auto sent =
        controller->thread.send([controller, nsid] { controller->namespace_changed(nsid); });
  }
}

// ---- listeners and hosts

Task<nvme::TransportId> SubsystemState::add_listener(nvme::TransportId where) {
  const auto self = shared_from_this();
  const ErrorContext doing("letting subsystem {} listen on {} port {}", nqn(), where.traddr, where.trsvcid);
  const auto guard = co_await changing_.lock();
  require_usable("add_listener");
  where.subnqn.clear();
  require_new_listener(where);
  auto listening = target_.listen(where);
  const nvme::TransportId real = co_await std::move(listening);
  listeners_.push_back(real);
  target_.discovery_changed();
  nvme::TransportId answer = real;
  answer.subnqn = nqn();
  co_return answer;
}

Task<> SubsystemState::remove_listener(nvme::TransportId where) {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("remove_listener");
  where = take_listener(where);
  target_.stop_listening(where);
  std::vector<std::shared_ptr<Controller>> gone;
  for (const auto& [cntlid, controller] : controllers_) {
    if (same_address(controller->host().listener, where)) gone.push_back(controller);
  }
  co_await close_controllers(std::move(gone), "its listener was removed");
  target_.discovery_changed();
}

void SubsystemState::any_host_changed() { target_.discovery_changed(); }
void SubsystemState::host_added(const std::string&) { target_.discovery_changed(); }

Task<> SubsystemState::remove_host(std::string hostnqn) {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("remove_host");
  erase_host(hostnqn);
  target_.discovery_changed();
  if (any_host_) co_return;
  std::vector<std::shared_ptr<Controller>> gone;
  for (const auto& [cntlid, controller] : controllers_) {
    if (controller->host().hostnqn == hostnqn) gone.push_back(controller);
  }
  co_await close_controllers(std::move(gone), "the host was taken off the list");
}

Task<> SubsystemState::disconnect_host(std::string hostnqn) {
  const auto self = shared_from_this();
  require_usable("disconnect_host");
  std::vector<std::shared_ptr<Controller>> gone;
  for (const auto& [cntlid, controller] : controllers_) {
    if (controller->host().hostnqn == hostnqn) gone.push_back(controller);
  }
  co_await close_controllers(std::move(gone), "the host was disconnected by the target's owner");
}

// ---- controllers

Task<> SubsystemState::close_controllers(std::vector<std::shared_ptr<Controller>> gone, std::string why) {
  for (const auto& controller : gone) {
    [[maybe_unused]] const auto sent = controller->thread.send([controller, why] {
      controller->close_wanted = true;
      if (Queue* const queue = controller->admin_queue()) queue->close(why);
    });
  }
  for (const auto& controller : gone) {
    while (find_controller(controller->cntlid()) == controller) {
      controller_gone_.reset();
      co_await controller_gone_.wait();
    }
  }
}

std::shared_ptr<Controller> SubsystemState::make_controller(HostConnect host, const ThreadHandle& thread) {
  const std::size_t possible = std::size_t{max_cntlid()} - min_cntlid() + 1;
  if (controllers_.size() >= possible) return nullptr;
  while (controllers_.contains(next_cntlid_)) {
    next_cntlid_ = next_cntlid_ == max_cntlid() ? min_cntlid() : static_cast<std::uint16_t>(next_cntlid_ + 1);
  }
  // The next one gets another id: a host that comes back late must not find a stranger's controller under its own.
  const std::uint16_t cntlid = next_cntlid_;
  next_cntlid_ = next_cntlid_ == max_cntlid() ? min_cntlid() : static_cast<std::uint16_t>(next_cntlid_ + 1);
  auto controller = std::make_shared<Controller>(shared_from_this(), cntlid, std::move(host), is_discovery());
  controller->thread = thread;
  controllers_[cntlid] = controller;
  return controller;
}

std::shared_ptr<Controller> SubsystemState::find_controller(std::uint16_t cntlid) const {
  const auto found = controllers_.find(cntlid);
  return found == controllers_.end() ? nullptr : found->second;
}

void SubsystemState::forget_controller(const std::shared_ptr<SubsystemState>& subsystem,
                                       const std::shared_ptr<Controller>& controller) noexcept {
  [[maybe_unused]] const auto sent = subsystem->target_.home().send([subsystem, controller] {
    const auto found = subsystem->controllers_.find(controller->cntlid());
    if (found == subsystem->controllers_.end() || found->second != controller) return;
    subsystem->controllers_.erase(found);
    subsystem->controller_gone_.set();
    if (controller->keep_alive_expired) {
      subsystem->target_.host_event({HostEvent::Type::keep_alive_expired, controller->cntlid(), controller->host()});
    }
    subsystem->target_.host_event({HostEvent::Type::disconnected, controller->cntlid(), controller->host()});
  });
}

std::vector<ControllerInfo> SubsystemState::controllers() const {
  std::vector<ControllerInfo> list;
  for (const auto& [cntlid, controller] : controllers_) {
    list.push_back({.cntlid = cntlid, .host = controller->host(), .io_qpairs = controller->io_queue_count});
  }
  return list;
}

// ---- states

Task<> SubsystemState::start() {
  const auto self = shared_from_this();
  const ErrorContext doing("starting subsystem {}", nqn());
  const auto guard = co_await changing_.lock();
  require_usable("start");
  if (status_ != SubsystemStatus::inactive) co_return;
  std::exception_ptr failure;
  try {
    for (const auto& group : target_.groups()) {
      auto add = [group = group.get(), this] {
        auto view = std::make_unique<SubsystemView>(nqn());
        for (const auto& [nsid, ns] : namespaces_) view->add(ns.traits);
        group->add_view(std::move(view));
      };
      co_await group->thread().call(add);
    }
  } catch (...) {
    failure = std::current_exception();
  }
  status_ = SubsystemStatus::active;
  if (failure) {
    co_await stop_locked();
    std::rethrow_exception(failure);
  }
  target_.discovery_changed();
}

Task<> SubsystemState::stop() {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("stop");
  if (status_ == SubsystemStatus::inactive) co_return;
  co_await stop_locked();
}

Task<> SubsystemState::stop_locked() {
  status_ = SubsystemStatus::inactive;
  for (const auto& group : target_.groups()) {
    auto remove = [group = group.get(), this] { return group->remove_view(nqn()); };
    co_await group->thread().call(remove);
  }
  while (!controllers_.empty()) {
    controller_gone_.reset();
    co_await controller_gone_.wait();
  }
  target_.discovery_changed();
}

Task<> SubsystemState::pause() {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("pause");
  require_status(SubsystemStatus::active, "pause");
  status_ = SubsystemStatus::paused;
  for (const auto& group : target_.groups()) {
    auto pause = [group = group.get(), this]() -> Task<> { return group->view(nqn())->pause(); };
    co_await group->thread().call(pause);
  }
}

Task<> SubsystemState::resume() {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("resume");
  require_status(SubsystemStatus::paused, "resume");
  status_ = SubsystemStatus::active;
  for (const auto& group : target_.groups()) {
    auto resume = [group = group.get(), this] { group->view(nqn())->resume(); };
    co_await group->thread().call(resume);
  }
}

Task<> SubsystemState::destroy() {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("destroy");
  if (status_ != SubsystemStatus::inactive) co_await stop_locked();
  while (!namespaces_.empty()) co_await remove_namespace_locked(namespaces_.begin()->first);
  for (const auto& where : std::exchange(listeners_, {})) target_.stop_listening(where);
  status_ = SubsystemStatus::removed;
  target_.forget_subsystem(*this);
  target_.discovery_changed();
}

}  // namespace spdkio::nvmf
