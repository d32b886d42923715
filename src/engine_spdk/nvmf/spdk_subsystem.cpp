#include "engine_spdk/nvmf/spdk_subsystem.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/error_context.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <fmt/format.h>

#include <spdk/version.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <set>
#include <type_traits>

#include "engine_spdk/nvmf/listen_address.hpp"
#include "engine_spdk/nvmf/spdk_target.hpp"
#include "nvmf/namespace_device.hpp"

namespace spdkio::spdk {
namespace {

using nvmf::SubsystemStatus;

SubsystemChange::Now now(SubsystemStatus status) noexcept {
  switch (status) {
    case SubsystemStatus::active: return SubsystemChange::Now::active;
    case SubsystemStatus::paused: return SubsystemChange::Now::paused;
    default: return SubsystemChange::Now::inactive;
  }
}

void state_changed(spdk_nvmf_subsystem*, void* call, int status) noexcept { Control::Call::finish(call, status); }

bool all_zero(const std::uint8_t* bytes, std::size_t size) noexcept {
  return std::all_of(bytes, bytes + size, [](std::uint8_t byte) { return byte == 0; });
}

/// SPDK refuses a namespace with a line in the log.
int errno_of_refused_namespace(const std::string& said) noexcept {
  int code = 0;
  const auto at = said.find("error=-");
  if (at != std::string::npos && std::sscanf(said.c_str() + at, "error=-%d", &code) == 1 && code > 0) return code;
  return said.find("claimed") != std::string::npos ? EPERM : EINVAL;
}

/// Newer releases of SPDK take a limit of time; 0 is their default.
template <class F>
int disconnect_host_with(F function, spdk_nvmf_subsystem* subsystem, const char* hostnqn, void* call) {
  if constexpr (std::is_invocable_v<F, spdk_nvmf_subsystem*, const char*, spdk_nvmf_tgt_subsystem_listen_done_fn, void*,
                                    std::uint64_t>) {
    return function(subsystem, hostnqn, Control::Call::finish, call, 0);
  } else {
    return function(subsystem, hostnqn, Control::Call::finish, call);
  }
}

Error named(Error error, const char* operation, const std::string& nqn) {
  return std::move(error).with_operation(operation).with_device(nqn);
}

}  // namespace

SpdkSubsystem::SpdkSubsystem(SpdkTarget& target, std::string nqn, const nvmf::SubsystemOptions& options)
    : SubsystemBackend(target, std::move(nqn), options), target_(target), control_(target.control()) {}

Task<> SpdkSubsystem::make() {
  auto build = [this] {
    const spdk_nvmf_subtype type = is_discovery() ? SPDK_NVMF_SUBTYPE_DISCOVERY_CURRENT : SPDK_NVMF_SUBTYPE_NVME;
    subsystem_ =
        ::spdk_nvmf_subsystem_create(target_.get(), nqn().c_str(), type, is_discovery() ? 0 : max_namespaces());
    if (subsystem_ == nullptr) return -EINVAL;
    int rc = ::spdk_nvmf_subsystem_set_allow_any_host(subsystem_, any_host_);
    if (rc == 0) rc = ::spdk_nvmf_subsystem_set_cntlid_range(subsystem_, min_cntlid(), max_cntlid());
    if (rc == 0 && !is_discovery()) rc = ::spdk_nvmf_subsystem_set_sn(subsystem_, serial_number().c_str());
    if (rc == 0 && !is_discovery()) rc = ::spdk_nvmf_subsystem_set_mn(subsystem_, model_number().c_str());
    // It has neither controllers nor namespaces: that is over at once.
    if (rc != 0) ::spdk_nvmf_subsystem_destroy(std::exchange(subsystem_, nullptr), nullptr, nullptr);
    return rc;
  };
  auto building = ask_app(control_, build);
  const Outcome built = co_await std::move(building);
  if (!built.ok()) throw named(built.error("SPDK makes no subsystem"), "create_subsystem", nqn());
}

// ---- through the app thread

Task<Outcome> SpdkSubsystem::change(std::uint32_t nsid, SubsystemChange::Step step) {
  std::string said;
  auto begin = [this, nsid, &step, &said](void* call) {
    SubsystemChange::begin(subsystem_, now(status_), nsid, std::move(step), said, call);
  };
  auto changing = await_app(control_, begin);
  Outcome outcome = co_await std::move(changing);
  if (!said.empty()) outcome.said = said;
  co_return outcome;
}

Task<Outcome> SpdkSubsystem::change_state(StateFunction function) {
  auto begin = [this, &function](void* call) {
    const int rc = function(subsystem_, state_changed, call);
    if (rc != 0) Control::Call::finish(call, rc);
  };
  auto changing = await_app(control_, begin);
  co_return co_await std::move(changing);
}

/// SPDK stops the I/O of one namespace at most: it has 16 bits for the number, so that "all" is none.
Task<Outcome> SpdkSubsystem::pause_all() {
  const std::uint32_t nsid = namespaces_.empty() ? 0 : namespaces_.begin()->first;
  const StateFunction pause = [nsid](spdk_nvmf_subsystem* subsystem, spdk_nvmf_subsystem_state_change_done done,
                                     void* call) { return ::spdk_nvmf_subsystem_pause(subsystem, nsid, done, call); };
  return change_state(pause);
}

// ---- namespaces

Task<std::uint32_t> SpdkSubsystem::add_namespace(std::string bdev_name, nvmf::NamespaceOptions options) {
  const auto self = shared_from_this();
  const ErrorContext doing("adding {} to subsystem {}", bdev_name, nqn());
  const auto guard = co_await changing_.lock();
  require_usable("add_namespace");
  if (is_discovery()) refuse("a discovery subsystem has no namespaces");
  std::set<std::uint32_t> taken;
  for (const auto& [each, ns] : namespaces_) taken.insert(each);
  const std::uint32_t nsid = choose_nsid(options.nsid, taken);
  auto opening = nvmf::open_namespace_device(bdev_name, nqn(), nvmf::ZonedDevices::allowed);
  const nvmf::NamespaceDevice opened = co_await std::move(opening);
  Namespace added;
  added.desc = opened.desc;
  added.device = opened.desc->state()->shared_device();
  nvmf::NamespaceInfo& info = added.info;
  info.nsid = nsid;
  info.bdev_name = opened.desc->name();
  info.uuid = options.uuid.is_nil() ? added.device->uuid() : options.uuid;
  info.nguid = all_zero(options.nguid.data(), options.nguid.size()) ? info.uuid.bytes : options.nguid;
  info.eui64 = options.eui64;
  const bdev::Geometry& geometry = added.device->geometry();
  info.block_size = geometry.block_size - (geometry.metadata_interleaved ? geometry.metadata_size : 0);

  const auto step = [&info, this](SubsystemChange& change) {
    spdk_nvmf_ns_opts opts;
    ::spdk_nvmf_ns_opts_get_defaults(&opts, sizeof opts);
    opts.nsid = info.nsid;
    std::ranges::copy(info.nguid, opts.nguid);
    std::ranges::copy(info.eui64, opts.eui64);
    static_assert(sizeof opts.uuid == sizeof info.uuid.bytes);
    std::ranges::copy(info.uuid.bytes, reinterpret_cast<std::uint8_t*>(&opts.uuid));
    opts.opts_size = sizeof opts;
    const std::uint32_t given =
        ::spdk_nvmf_subsystem_add_ns_ext(subsystem_, info.bdev_name.c_str(), &opts, sizeof opts, nullptr);
    change.done(given == info.nsid ? 0 : -EINVAL);
  };
  auto changing = change(0, step);
  const Outcome outcome = co_await std::move(changing);
  if (!outcome.ok()) {
    auto closing = opened.desc->close();
    co_await std::move(closing);
    Outcome refused = outcome;
    refused.rc = -errno_of_refused_namespace(outcome.said);
    const int code = -refused.rc;
    throw named(Error::from_errno(code, outcome.said.empty() ? "SPDK does not take it" : "SPDK: " + outcome.said),
                "add_namespace", nqn());
  }
  const std::shared_ptr<BdevDesc> desc = added.desc;
  namespaces_[nsid] = std::move(added);
  [[maybe_unused]] auto watching = CurrentThread::spawn(watch(self, nsid, desc), "nvmf namespace " + desc->name());
  co_return nsid;
}

/// SPDK takes a namespace out by itself when its device goes, and tells hosts of a new size.
Task<> SpdkSubsystem::watch(std::shared_ptr<SpdkSubsystem> self, std::uint32_t nsid, std::shared_ptr<BdevDesc> desc) {
  try {
    while (const auto event = co_await desc->next_event()) {
      if (event->type != bdev::BdevEventType::remove) continue;
      log::info("nvmf: block device '{}' was removed, and with it namespace {} of {}", desc->name(), nsid, self->nqn());
      const auto found = self->namespaces_.find(nsid);
      if (found == self->namespaces_.end() || found->second.desc != desc) co_return;
      self->namespaces_.erase(found);
      auto closing = desc->close();
      co_await std::move(closing);
      if (self->status_ == SubsystemStatus::paused) co_await self->stay_paused(nsid);
      co_return;
    }
  } catch (const Error& error) {
    self->watch_failed(nsid, error);
  }
}

/// Having taken a namespace out, SPDK lets the subsystem go on, whoever paused it.
Task<> SpdkSubsystem::stay_paused(std::uint32_t nsid) {
  const auto guard = co_await changing_.lock();
  for (;;) {
    if (status_ != SubsystemStatus::paused || namespaces_.contains(nsid)) co_return;
    auto look = [this, nsid] { return ::spdk_nvmf_subsystem_get_ns(subsystem_, nsid) == nullptr ? 0 : -EAGAIN; };
    auto looking = ask_app(control_, look);
    const Outcome gone = co_await std::move(looking);
    if (gone.ok()) break;
    co_await sleep_for(std::chrono::milliseconds{1});
  }
  auto pausing = pause_all();
  const Outcome paused = co_await std::move(pausing);
  if (!paused.ok()) log::error("nvmf: {} goes on although it is paused: {}", nqn(), paused.said);
}

Task<> SpdkSubsystem::remove_namespace(std::uint32_t nsid) {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("remove_namespace");
  const auto found = namespaces_.find(nsid);
  if (found == namespaces_.end()) {
    throw named(Error(std::errc::no_such_file_or_directory, fmt::format("there is no namespace {}", nsid)),
                "remove_namespace", nqn());
  }
  const Namespace removed = std::move(found->second);
  namespaces_.erase(found);
  const auto step = [this, nsid](SubsystemChange& change) {
    // Otherwise it went with its device meanwhile.
    if (::spdk_nvmf_subsystem_get_ns(subsystem_, nsid) == nullptr) return change.done(0);
    change.done(::spdk_nvmf_subsystem_remove_ns(subsystem_, nsid) == 0 ? 0 : -EIO);
  };
  auto changing = change(nsid, step);
  const Outcome outcome = co_await std::move(changing);
  auto closing = removed.desc->close();
  const auto closed = co_await as_result(std::move(closing));
  if (!outcome.ok()) throw named(outcome.error("SPDK does not remove the namespace"), "remove_namespace", nqn());
  if (!closed && closed.error().code() != Misuse::already_closed) throw closed.error();
}

std::vector<nvmf::NamespaceInfo> SpdkSubsystem::namespaces() const {
  std::vector<nvmf::NamespaceInfo> list;
  for (const auto& [nsid, ns] : namespaces_) {
    list.push_back(ns.info);
    list.back().num_blocks = ns.device->num_blocks().value;
  }
  return list;
}

// ---- listeners and hosts

Task<nvme::TransportId> SpdkSubsystem::add_listener(nvme::TransportId where) {
  const auto self = shared_from_this();
  const ErrorContext doing("letting subsystem {} listen on {} port {}", nqn(), where.traddr, where.trsvcid);
  const auto guard = co_await changing_.lock();
  require_usable("add_listener");
  where.subnqn.clear();
  if (target_.transport(where.trtype) == nullptr) {
    throw named(Error(Misuse::invalid_argument, fmt::format("the target has no {} transport", to_string(where.trtype)))
                    .with_hint("add one first: Target::add_transport"),
                "add_listener", nqn());
  }
  require_new_listener(where);
  auto resolving = listen_address(where);
  const ListenAddress address = co_await std::move(resolving);
  spdk_nvme_transport_id id = address.id;  // older releases of SPDK take no const one
  auto listen = [this, &id] {
    spdk_nvmf_listen_opts opts;
    ::spdk_nvmf_listen_opts_init(&opts, sizeof opts);
    return ::spdk_nvmf_tgt_listen_ext(target_.get(), &id, &opts);
  };
  auto listening = ask_app(control_, listen);
  const Outcome listens = co_await std::move(listening);
  if (!listens.ok()) {
    throw named(listens.error(fmt::format("SPDK does not listen on {} port {}", id.traddr, id.trsvcid)), "add_listener",
                nqn());
  }
  const auto step = [this, &id](SubsystemChange& change) {
    ::spdk_nvmf_subsystem_add_listener(subsystem_, &id, SubsystemChange::on_done, &change);
  };
  auto changing = change(0, step);
  const Outcome outcome = co_await std::move(changing);
  if (!outcome.ok()) {
    auto leave = [this, &id] { return ::spdk_nvmf_tgt_stop_listen(target_.get(), &id); };
    auto leaving = ask_app(control_, leave);
    co_await std::move(leaving);
    throw named(outcome.error("SPDK does not add the listener"), "add_listener", nqn());
  }
  listeners_.push_back(address.where);
  spdk_listeners_.push_back({address.where, id});
  nvme::TransportId answer = address.where;
  answer.subnqn = nqn();
  co_return answer;
}

Task<> SpdkSubsystem::remove_listener(nvme::TransportId where) {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("remove_listener");
  where = take_listener(where);
  const auto found = std::ranges::find_if(spdk_listeners_,
                                          [&](const Listener& each) { return nvmf::same_address(each.where, where); });
  const spdk_nvme_transport_id id = found->id;
  spdk_listeners_.erase(found);
  const auto step = [this, &id](SubsystemChange& change) {
    change.done(::spdk_nvmf_subsystem_remove_listener(subsystem_, &id));
  };
  auto changing = change(0, step);
  const Outcome outcome = co_await std::move(changing);
  if (!outcome.ok()) throw named(outcome.error("SPDK does not remove the listener"), "remove_listener", nqn());
  auto stop = [this, &id](void* call) {
    spdk_nvmf_transport* const transport = ::spdk_nvmf_tgt_get_transport(target_.get(), id.trstring);
    const int rc = transport == nullptr ? -ENOENT
                                        : ::spdk_nvmf_transport_stop_listen_async(transport, &id, subsystem_,
                                                                                  Control::Call::finish, call);
    if (rc != 0) Control::Call::finish(call, rc);
  };
  auto stopping = await_app(control_, stop);
  const Outcome stopped = co_await std::move(stopping);
  if (!stopped.ok()) throw named(stopped.error("SPDK does not stop listening"), "remove_listener", nqn());
}

void SpdkSubsystem::any_host_changed() {
  auto set = [this, allowed = any_host_] { return ::spdk_nvmf_subsystem_set_allow_any_host(subsystem_, allowed); };
  auto undo = [self = shared_from_this(), allowed = any_host_] { self->any_host_ = !allowed; };
  target_.carry("letting any host use " + nqn(), std::move(set), std::move(undo));
}

void SpdkSubsystem::host_added(const std::string& hostnqn) {
  auto add = [this, hostnqn] { return ::spdk_nvmf_subsystem_add_host(subsystem_, hostnqn.c_str(), nullptr); };
  auto undo = [self = shared_from_this(), hostnqn] { self->hosts_.erase(hostnqn); };
  target_.carry(fmt::format("letting host {} use {}", hostnqn, nqn()), std::move(add), std::move(undo));
}

Task<> SpdkSubsystem::remove_host(std::string hostnqn) {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("remove_host");
  erase_host(hostnqn);
  auto remove = [this, &hostnqn] { return ::spdk_nvmf_subsystem_remove_host(subsystem_, hostnqn.c_str()); };
  auto removing = ask_app(control_, remove);
  const Outcome removed = co_await std::move(removing);
  if (!removed.ok()) throw named(removed.error("SPDK does not remove the host"), "remove_host", nqn());
  if (!any_host_) co_await disconnect(std::move(hostnqn));
}

Task<> SpdkSubsystem::disconnect_host(std::string hostnqn) {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("disconnect_host");
  co_await disconnect(std::move(hostnqn));
}

Task<> SpdkSubsystem::disconnect(std::string hostnqn) {
  auto begin = [this, &hostnqn](void* call) {
    const int rc = disconnect_host_with(::spdk_nvmf_subsystem_disconnect_host, subsystem_, hostnqn.c_str(), call);
    if (rc != 0) Control::Call::finish(call, rc);
  };
  auto disconnecting = await_app(control_, begin);
  const Outcome outcome = co_await std::move(disconnecting);
  if (!outcome.ok()) {
    throw named(outcome.error(fmt::format("SPDK does not disconnect host {}", hostnqn)), "disconnect_host", nqn());
  }
}

std::vector<nvmf::ControllerInfo> SpdkSubsystem::controllers() const {
  target_.not_supported("controllers", "SPDK's public interface does not tell of the controllers of a subsystem",
                        "ask its RPC method nvmf_subsystem_get_controllers, or use Provider::library");
}

// ---- states

Task<> SpdkSubsystem::start() {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("start");
  if (status_ != SubsystemStatus::inactive) co_return;
  auto starting = change_state(::spdk_nvmf_subsystem_start);
  const Outcome started = co_await std::move(starting);
  if (!started.ok()) throw named(started.error("SPDK does not start the subsystem"), "start", nqn());
  status_ = SubsystemStatus::active;
  announce();
}

Task<> SpdkSubsystem::stop() {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("stop");
  if (status_ == SubsystemStatus::inactive) co_return;
  auto stopping = change_state(::spdk_nvmf_subsystem_stop);
  const Outcome stopped = co_await std::move(stopping);
  if (!stopped.ok()) throw named(stopped.error("SPDK does not stop the subsystem"), "stop", nqn());
  status_ = SubsystemStatus::inactive;
  announce();
}

/// SPDK lists active subsystems alone, but does not say when one starts or stops. Before 25.05 nobody can tell it to.
void SpdkSubsystem::announce() {
#if SPDK_VERSION >= SPDK_VERSION_NUM(25, 5, 0)
  auto tell = [tgt = target_.get()] {
    ::spdk_nvmf_send_discovery_log_notice(tgt, nullptr);
    return 0;
  };
  target_.carry("announcing " + nqn(), std::move(tell), [] {});
#endif
}

Task<> SpdkSubsystem::pause() {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("pause");
  require_status(SubsystemStatus::active, "pause");
  if (namespaces_.size() > 1) {
    target_.not_supported("pause", fmt::format("SPDK's target can't stop the I/O of {} namespaces", namespaces_.size()),
                          "give each namespace a subsystem of its own, stop it, or use Provider::library");
  }
  auto pausing = pause_all();
  const Outcome paused = co_await std::move(pausing);
  if (!paused.ok()) throw named(paused.error("SPDK does not pause the subsystem"), "pause", nqn());
  status_ = SubsystemStatus::paused;
}

Task<> SpdkSubsystem::resume() {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("resume");
  require_status(SubsystemStatus::paused, "resume");
  auto resuming = change_state(::spdk_nvmf_subsystem_resume);
  const Outcome resumed = co_await std::move(resuming);
  if (!resumed.ok()) throw named(resumed.error("SPDK does not resume the subsystem"), "resume", nqn());
  status_ = SubsystemStatus::active;
}

Task<> SpdkSubsystem::destroy() {
  const auto self = shared_from_this();
  const auto guard = co_await changing_.lock();
  require_usable("destroy");
  auto destroying = destroy_spdk_subsystem(control_, target_.get(), subsystem_);
  co_await std::move(destroying);
  target_.forget_subsystem(*this);
  auto forgetting = forget();
  co_await std::move(forgetting);
}

Task<> SpdkSubsystem::forget() {
  status_ = SubsystemStatus::removed;
  subsystem_ = nullptr;
  listeners_.clear();
  spdk_listeners_.clear();
  const std::map<std::uint32_t, Namespace> gone = std::exchange(namespaces_, {});
  for (const auto& [nsid, ns] : gone) {
    auto closing = ns.desc->close();
    const auto closed = co_await as_result(std::move(closing));
    if (!closed && closed.error().code() != Misuse::already_closed) {
      log::error("nvmf: '{}' is not closed: {}", ns.info.bdev_name, closed.error().what());
    }
  }
}

Task<> destroy_spdk_subsystem(Control& control, spdk_nvmf_tgt* target, spdk_nvmf_subsystem* subsystem) {
  auto stop = [subsystem](void* call) {
    const int rc = ::spdk_nvmf_subsystem_stop(subsystem, state_changed, call);
    if (rc != 0) Control::Call::finish(call, rc);
  };
  auto stopping = await_app(control, stop);
  const Outcome stopped = co_await std::move(stopping);
  if (!stopped.ok()) log::error("nvmf: a subsystem does not stop: error {} {}", -stopped.rc, stopped.said);

  auto stop_listening = [target, subsystem] {
    while (auto* const listener = ::spdk_nvmf_subsystem_get_first_listener(subsystem)) {
      const spdk_nvme_transport_id* const known = ::spdk_nvmf_subsystem_listener_get_trid(listener);
      if (known == nullptr) return -ENOENT;
      spdk_nvme_transport_id id = *known;
      const int rc = ::spdk_nvmf_subsystem_remove_listener(subsystem, &id);
      if (rc != 0) return rc;
      [[maybe_unused]] const int left = ::spdk_nvmf_tgt_stop_listen(target, &id);
    }
    return 0;
  };
  auto asked = ask_app(control, stop_listening);
  const Outcome quiet = co_await std::move(asked);
  if (!quiet.ok()) log::error("nvmf: a subsystem still listens: error {} {}", -quiet.rc, quiet.said);

  auto destroy = [subsystem](void* call) {
    const auto done = [](void* context) { Control::Call::finish(context, 0); };
    const int rc = ::spdk_nvmf_subsystem_destroy(subsystem, done, call);
    if (rc != -EINPROGRESS) Control::Call::finish(call, rc);
  };
  auto destroying = await_app(control, destroy);
  const Outcome destroyed = co_await std::move(destroying);
  if (!destroyed.ok()) log::error("nvmf: a subsystem is not destroyed: error {} {}", -destroyed.rc, destroyed.said);
}

}  // namespace spdkio::spdk
