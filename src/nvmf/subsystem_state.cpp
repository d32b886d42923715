#include "nvmf/subsystem_state.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/error_context.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "nvmf/poll_group.hpp"
#include "nvmf/target_state.hpp"

namespace spdkio::nvmf {
namespace {

constexpr std::string_view claimer = "NVMe-oF Target";
/// All namespaces of this process share it: one device may be in several subsystems.
constexpr std::uint64_t claim_key = 0x6E76'6D66;
constexpr std::uint32_t most_namespaces = 1024;

[[noreturn]] void refuse(const std::string& nqn, std::string what) {
  throw Error(Misuse::invalid_argument, std::move(what)).with_operation("nvmf subsystem").with_device(nqn);
}

void check_text(const std::string& nqn, std::string_view name, std::string_view text, std::size_t longest) {
  const bool printable = std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7E; });
  if (!printable || text.size() > longest) {
    refuse(nqn, fmt::format("{} must be at most {} printable ASCII characters", name, longest));
  }
}

void check_device(const bdev::DeviceState& device) {
  const bdev::Geometry& geometry = device.geometry();
  const auto fail = [&device](std::string what) {
    throw Error(Misuse::invalid_argument, std::move(what)).with_operation("add_namespace").with_device(device.name());
  };
  if (geometry.metadata_size != 0 && !geometry.metadata_interleaved) {
    fail("separate metadata can't be carried over fabrics; a device with interleaved metadata can be a namespace");
  }
  if (geometry.zone_size_blocks != 0) fail("this target has no zoned namespaces");
  const std::uint32_t data = geometry.block_size - (geometry.metadata_interleaved ? geometry.metadata_size : 0);
  if (data < 512 || !std::has_single_bit(data)) {
    fail(fmt::format("blocks of {} bytes can't be a namespace: a power of two from 512 is needed", data));
  }
}

bool same_address(const nvme::TransportId& a, const nvme::TransportId& b) noexcept {
  return a.trtype == b.trtype && a.traddr == b.traddr && a.trsvcid == b.trsvcid;
}

}  // namespace

std::string_view to_string(SubsystemStatus status) noexcept {
  switch (status) {
    case SubsystemStatus::inactive: return "inactive";
    case SubsystemStatus::active: return "active";
    case SubsystemStatus::paused: return "paused";
    case SubsystemStatus::removed: return "removed";
  }
  return "unknown";
}

SubsystemState::SubsystemState(TargetState& target, std::string nqn, const SubsystemOptions& options)
    : target_(target),
      nqn_(std::move(nqn)),
      discovery_(nqn_ == spec::fabrics::discovery_nqn),
      serial_number_(options.serial_number),
      model_number_(options.model_number),
      max_namespaces_(options.max_namespaces),
      min_cntlid_(options.min_cntlid),
      max_cntlid_(options.max_cntlid),
      any_host_(options.allow_any_host),
      next_cntlid_(options.min_cntlid) {
  if (const std::string problem = spec::fabrics::nqn_problem(nqn_); !problem.empty()) {
    refuse(nqn_, fmt::format("'{}' is no NQN: {}", nqn_, problem));
  }
  check_text(nqn_, "serial_number", serial_number_, 20);
  check_text(nqn_, "model_number", model_number_, 40);
  if (max_namespaces_ < 1 || max_namespaces_ > most_namespaces) {
    refuse(nqn_, fmt::format("max_namespaces must be 1 to {}", most_namespaces));
  }
  if (min_cntlid_ < 1 || max_cntlid_ > 0xFFEF || min_cntlid_ > max_cntlid_) {
    refuse(nqn_, "min_cntlid and max_cntlid must be 1 to 65519, in that order");
  }
}

void SubsystemState::require_usable(const char* operation) const {
  target_.require_home(operation);
  if (status_ == SubsystemStatus::removed) {
    throw Error(std::errc::no_such_device, "the subsystem was destroyed").with_operation(operation).with_device(nqn_);
  }
}

// ---- namespaces

Task<std::uint32_t> SubsystemState::add_namespace(std::string bdev_name, NamespaceOptions options) {
  const auto self = shared_from_this();
  const ErrorContext doing("adding {} to subsystem {}", bdev_name, nqn_);
  const auto guard = co_await changing_.lock();
  require_usable("add_namespace");
  if (discovery_) refuse(nqn_, "a discovery subsystem has no namespaces");
  std::uint32_t nsid = options.nsid;
  if (nsid == 0) {
    nsid = 1;
    while (namespaces_.contains(nsid)) ++nsid;
  }
  if (nsid > max_namespaces_) {
    throw Error(std::errc::no_space_on_device,
                fmt::format("the subsystem has room for namespaces 1 to {}", max_namespaces_))
        .with_operation("add_namespace")
        .with_device(nqn_);
  }
  if (namespaces_.contains(nsid)) {
    throw Error(std::errc::file_exists, fmt::format("namespace {} exists", nsid))
        .with_operation("add_namespace")
        .with_device(nqn_);
  }

  bool writable = true;
  auto opening = BdevDesc::open(bdev_name, Access::read_write);
  auto opened = co_await as_result(std::move(opening));
  if (!opened && opened.error().code() == Misuse::read_only) {
    writable = false;
    auto reading = BdevDesc::open(bdev_name, Access::read_only);
    opened = co_await as_result(std::move(reading));
  }
  if (!opened) throw Error(opened.error()).with_context(fmt::format("while adding it to {}", nqn_));
  auto desc = std::make_shared<BdevDesc>(std::move(*opened));
  std::exception_ptr failure;
  try {
    check_device(desc->state()->device());
    desc->claim(writable ? bdev::Claim::read_many_write_shared : bdev::Claim::read_many_write_none,
                std::string(claimer), claim_key);
    auto traits = std::make_shared<NamespaceTraits>();
    traits->nsid = nsid;
    traits->bdev_name = desc->name();
    traits->device = desc->state()->shared_device();
    traits->uuid = options.uuid.is_nil() ? traits->device->uuid() : options.uuid;
    traits->nguid = options.nguid;
    if (std::ranges::all_of(traits->nguid, [](std::uint8_t b) { return b == 0; })) traits->nguid = traits->uuid.bytes;
    traits->eui64 = options.eui64;
    traits->writable = writable;
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
      if (SubsystemView* const view = group->view(nqn_)) view->add(traits);
    };
    co_await group->thread().call(add);
  }
}

Task<> SubsystemState::remove_from_groups(std::uint32_t nsid) {
  for (const auto& group : target_.groups()) {
    auto remove = [group = group.get(), this, nsid]() -> Task<> {
      if (SubsystemView* const view = group->view(nqn_)) return view->remove(nsid);
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
                  self->nqn_);
        co_await self->remove_namespace(nsid);
        co_return;
      }
    }
  } catch (const Error& error) {
    if (error.code() != std::errc::operation_canceled && error.code() != std::errc::no_such_file_or_directory &&
        error.code() != std::errc::no_such_device) {
      log::error("nvmf: namespace {} of {}: {}", nsid, self->nqn_, error.what());
    }
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
        .with_device(nqn_);
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
  const ErrorContext doing("letting subsystem {} listen on {} port {}", nqn_, where.traddr, where.trsvcid);
  const auto guard = co_await changing_.lock();
  require_usable("add_listener");
  where.subnqn.clear();
  if (listens_on(where)) {
    throw Error(std::errc::file_exists, fmt::format("it listens on {} port {} already", where.traddr, where.trsvcid))
        .with_operation("add_listener")
        .with_device(nqn_);
  }
  auto listening = target_.listen(where);
  const nvme::TransportId real = co_await std::move(listening);
  listeners_.push_back(real);
  target_.discovery_changed();
  nvme::TransportId answer = real;
  answer.subnqn = nqn_;
  co_return answer;
}

Task<> SubsystemState::remove_listener(nvme::TransportId where) {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("remove_listener");
  const auto found = std::ranges::find_if(listeners_, [&](const auto& each) { return same_address(each, where); });
  if (found == listeners_.end()) {
    throw Error(std::errc::no_such_file_or_directory,
                fmt::format("it does not listen on {} port {}", where.traddr, where.trsvcid))
        .with_operation("remove_listener")
        .with_device(nqn_);
  }
  listeners_.erase(found);
  target_.stop_listening(where);
  std::vector<std::shared_ptr<Controller>> gone;
  for (const auto& [cntlid, controller] : controllers_) {
    if (same_address(controller->host().listener, where)) gone.push_back(controller);
  }
  co_await close_controllers(std::move(gone), "its listener was removed");
  target_.discovery_changed();
}

bool SubsystemState::listens_on(const nvme::TransportId& where) const noexcept {
  return std::ranges::any_of(listeners_, [&](const auto& each) { return same_address(each, where); });
}

void SubsystemState::allow_any_host(bool allowed) {
  require_usable("allow_any_host");
  any_host_ = allowed;
  target_.discovery_changed();
}

void SubsystemState::add_host(std::string hostnqn) {
  require_usable("add_host");
  if (const std::string problem = spec::fabrics::nqn_problem(hostnqn); !problem.empty()) {
    refuse(nqn_, fmt::format("'{}' is no NQN: {}", hostnqn, problem));
  }
  if (!hosts_.insert(hostnqn).second) {
    throw Error(std::errc::file_exists, fmt::format("host {} is on the list", hostnqn))
        .with_operation("add_host")
        .with_device(nqn_);
  }
  target_.discovery_changed();
}

Task<> SubsystemState::remove_host(std::string hostnqn) {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("remove_host");
  if (hosts_.erase(hostnqn) == 0) {
    throw Error(std::errc::no_such_file_or_directory, fmt::format("host {} is not on the list", hostnqn))
        .with_operation("remove_host")
        .with_device(nqn_);
  }
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
  const std::size_t possible = std::size_t{max_cntlid_} - min_cntlid_ + 1;
  if (controllers_.size() >= possible) return nullptr;
  while (controllers_.contains(next_cntlid_)) {
    next_cntlid_ = next_cntlid_ == max_cntlid_ ? min_cntlid_ : static_cast<std::uint16_t>(next_cntlid_ + 1);
  }
  // The next one gets another id: a host that comes back late must not find a stranger's controller under its own.
  const std::uint16_t cntlid = next_cntlid_;
  next_cntlid_ = next_cntlid_ == max_cntlid_ ? min_cntlid_ : static_cast<std::uint16_t>(next_cntlid_ + 1);
  auto controller = std::make_shared<Controller>(shared_from_this(), cntlid, std::move(host), discovery_);
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
  const ErrorContext doing("starting subsystem {}", nqn_);
  const auto guard = co_await changing_.lock();
  require_usable("start");
  if (status_ != SubsystemStatus::inactive) co_return;
  std::exception_ptr failure;
  try {
    for (const auto& group : target_.groups()) {
      auto add = [group = group.get(), this] {
        auto view = std::make_unique<SubsystemView>(nqn_);
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
    auto remove = [group = group.get(), this] { return group->remove_view(nqn_); };
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
  if (status_ != SubsystemStatus::active) {
    throw Error(std::errc::invalid_argument, fmt::format("the subsystem is {}", to_string(status_)))
        .with_operation("pause")
        .with_device(nqn_);
  }
  status_ = SubsystemStatus::paused;
  for (const auto& group : target_.groups()) {
    auto pause = [group = group.get(), this]() -> Task<> { return group->view(nqn_)->pause(); };
    co_await group->thread().call(pause);
  }
}

Task<> SubsystemState::resume() {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("resume");
  if (status_ != SubsystemStatus::paused) {
    throw Error(std::errc::invalid_argument, fmt::format("the subsystem is {}", to_string(status_)))
        .with_operation("resume")
        .with_device(nqn_);
  }
  status_ = SubsystemStatus::active;
  for (const auto& group : target_.groups()) {
    auto resume = [group = group.get(), this] { group->view(nqn_)->resume(); };
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
