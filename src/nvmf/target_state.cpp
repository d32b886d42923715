#include "nvmf/target_state.hpp"

#include <spdkio/base/cpu_set.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/error_context.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "nvme/tcp/resolve.hpp"
#include "nvmf/poll_cores.hpp"
#include "nvmf/tcp/connection.hpp"
#include "nvmf/tcp/listener.hpp"

namespace spdkio::nvmf {
namespace {

constexpr std::size_t most_host_events = 1024;

/// The texts of the caller are not kept.
TargetOptions without_texts(TargetOptions options) noexcept {
  options.name = {};
  options.poll_groups_mask = {};
  return options;
}

nvme::tcp::AddressFamily family_of(const nvme::TransportId& where) noexcept {
  switch (where.adrfam) {
    case nvme::AddressFamily::ipv4: return nvme::tcp::AddressFamily::v4;
    case nvme::AddressFamily::ipv6: return nvme::tcp::AddressFamily::v6;
    default: return nvme::tcp::AddressFamily::any;
  }
}

}  // namespace

TargetState::TargetState(const TargetOptions& options)
    : TargetBackend(std::string(options.name)), options_(without_texts(options)) {}

TargetState::~TargetState() = default;

Task<> TargetState::open(std::string mask) {
  const ErrorContext doing("making the NVMe-oF target {}", name());
  const std::vector<CoreId> cores = poll_cores(mask);
  if (cores.empty()) groups_.push_back(std::make_unique<PollGroup>(*this, name() + "_poll_group_000", std::nullopt));
  for (const CoreId core : cores) {
    std::string name_of_group = fmt::format("{}_poll_group_{:03}", name(), groups_.size());
    CpuSet one;
    one.add(static_cast<unsigned>(core));
    groups_.push_back(std::make_unique<PollGroup>(*this, name_of_group, Thread::create(name_of_group, one)));
  }
  for (const auto& group : groups_) co_await group->open();
  SubsystemOptions discovery_options;
  discovery_options.allow_any_host = true;
  auto discovery =
      std::make_shared<SubsystemState>(*this, std::string(spec::fabrics::discovery_nqn), discovery_options);
  subsystems_.push_back(discovery);
  co_await discovery->start();
}

Task<> TargetState::destroy() {
  const auto self = shared_from_this();
  require_home("destroy");
  if (std::exchange(destroying_, true)) {
    co_await destroyed_event_.wait();
    co_return;
  }
  listeners_.clear();
  while (!subsystems_.empty()) {
    const std::shared_ptr<SubsystemState> last = subsystems_.back();
    co_await last->destroy();
  }
  for (const auto& group : groups_) co_await group->close();
  groups_.clear();
  set_destroyed();
  host_event_there_.set();
  destroyed_event_.set();
  remove(*this);
}

Task<> TargetState::add_transport(nvme::TransportType type, TransportSettings settings) {
  const ErrorContext doing("adding a transport to the NVMe-oF target {}", name());
  require_home("add_transport");
  if (type != nvme::TransportType::tcp) {
    throw Error(Misuse::not_supported,
                fmt::format("the library's own targets have no {} transport", nvme::to_string(type)))
        .with_operation("add_transport")
        .with_device(name());
  }
  if (transport_) {
    throw Error(std::errc::file_exists, "the target has that transport")
        .with_operation("add_transport")
        .with_device(name());
  }
  check_options(settings);
  for (const auto& group : groups_) {
    auto set = [group = group.get(), &settings] { group->set_transport(settings); };
    co_await group->thread().call(set);
  }
  transport_ = std::move(settings);
}

// ---- subsystems

Task<std::shared_ptr<SubsystemBackend>> TargetState::create(std::string nqn, SubsystemOptions options) {
  require_home("create_subsystem");
  if (find_subsystem(nqn) != nullptr) {
    throw Error(std::errc::file_exists, "there is a subsystem of that name")
        .with_operation("create_subsystem")
        .with_device(nqn);
  }
  if (subsystems_.size() > options_.max_subsystems) {
    throw Error(std::errc::no_space_on_device, fmt::format("the target has {} subsystems", options_.max_subsystems))
        .with_operation("create_subsystem")
        .with_device(nqn);
  }
  auto subsystem = std::make_shared<SubsystemState>(*this, std::move(nqn), options);
  subsystems_.push_back(subsystem);
  co_return subsystem;
}

std::shared_ptr<SubsystemState> TargetState::find_subsystem(std::string_view nqn) const {
  const auto found = std::ranges::find_if(subsystems_, [nqn](const auto& each) { return each->nqn() == nqn; });
  return found == subsystems_.end() ? nullptr : *found;
}

void TargetState::forget_subsystem(const SubsystemState& subsystem) noexcept {
  std::erase_if(subsystems_, [&subsystem](const auto& each) { return each.get() == &subsystem; });
}

// ---- listeners

Task<nvme::TransportId> TargetState::listen(nvme::TransportId where) {
  const auto self = shared_from_this();
  if (where.trtype != nvme::TransportType::tcp) {
    throw Error(Misuse::not_supported,
                fmt::format("the library's own targets have no {} transport", to_string(where.trtype)))
        .with_operation("add_listener");
  }
  if (!transport_) {
    throw Error(Misuse::invalid_argument, "the target has no TCP transport")
        .with_operation("add_listener")
        .with_hint("add one first: Target::add_transport, nvmf_create_transport");
  }
  if (where.trsvcid.empty()) where.trsvcid = "4420";
  for (const auto& listener : listeners_) {
    if (!same_address(listener->where(), where)) continue;
    ++listener->users;
    co_return listener->where();
  }
  const std::uint16_t port = nvme::tcp::SocketAddress::parse_port(where.trsvcid);
  auto resolving = nvme::tcp::resolve(where.traddr, port, family_of(where));
  const std::vector<nvme::tcp::SocketAddress> addresses = co_await std::move(resolving);
  listeners_.push_back(std::make_unique<tcp::Listener>(
      where, addresses.front(), *transport_,
      [this](UniqueFd fd, const nvme::TransportId& listener) { accepted(std::move(fd), listener); }));
  co_return listeners_.back()->where();
}

void TargetState::stop_listening(const nvme::TransportId& where) noexcept {
  const auto found =
      std::ranges::find_if(listeners_, [&](const auto& each) { return same_address(each->where(), where); });
  if (found != listeners_.end() && --(*found)->users == 0) listeners_.erase(found);
}

void TargetState::accepted(UniqueFd fd, const nvme::TransportId& listener) {
  if (connections_ >= transport_->max_connections) {
    log::warn("nvmf: a connection was turned away: there are {}", transport_->max_connections);
    return;
  }
  PollGroup* least = groups_[next_group_].get();
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    PollGroup* const group = groups_[(next_group_ + i) % groups_.size()].get();
    if (group->connection_count < least->connection_count) least = group;
  }
  next_group_ = (next_group_ + 1) % groups_.size();
  ++connections_;
  ++least->connection_count;
  const auto sent = least->thread().send([least, fd = std::move(fd), listener]() mutable {
    tcp::Connection::adopt(*least, std::move(fd), std::move(listener));
  });
  if (!sent) {
    --connections_;
    --least->connection_count;
  }
}

// ---- hosts

Task<TargetState::Admission> TargetState::admit(HostConnect host, std::uint16_t cntlid, ThreadHandle thread) {
  using spec::fabrics::any_controller;
  using spec::fabrics::connect_invalid_parameter;
  using spec::fabrics::ConnectData;
  const auto self = shared_from_this();
  Admission refused;
  refused.status = spec::fabrics::sc::invalid_parameters;
  if (destroying_) co_return refused;
  const std::shared_ptr<SubsystemState> subsystem = find_subsystem(host.subnqn);
  if (subsystem == nullptr ||
      (subsystem->status() != SubsystemStatus::active && subsystem->status() != SubsystemStatus::paused)) {
    refused.parameter = connect_invalid_parameter(true, offsetof(ConnectData, subnqn));
    co_return refused;
  }
  if (cntlid != any_controller) {
    refused.parameter = connect_invalid_parameter(true, offsetof(ConnectData, cntlid));
    co_return refused;
  }
  refused.status = spec::fabrics::sc::invalid_host;
  bool allowed = subsystem->allows(host.hostnqn) && (subsystem->is_discovery() || subsystem->listens_on(host.listener));
  if (allowed && admission_) {
    const AdmissionHook hook = admission_;
    try {
      auto asking = hook(host);
      allowed = co_await std::move(asking);
    } catch (...) {
      log::warn("nvmf: the admission hook failed, and host {} is refused: {}", host.hostnqn,
                Error::from_current_exception().what());
      allowed = false;
    }
  }
  if (!allowed) {
    log::info("nvmf: host {} may not use {}", host.hostnqn, host.subnqn);
    host_event({HostEvent::Type::refused, 0, host});
    co_return refused;
  }
  Admission answer;
  answer.controller = subsystem->make_controller(host, thread);
  if (answer.controller == nullptr) answer.status = spec::fabrics::sc::controller_busy;
  if (answer.controller != nullptr) host_event({HostEvent::Type::connected, answer.controller->cntlid(), host});
  co_return answer;
}

TargetState::Admission TargetState::find_controller(const HostConnect& host, std::uint16_t cntlid) const {
  using spec::fabrics::connect_invalid_parameter;
  using spec::fabrics::ConnectData;
  Admission answer;
  answer.status = spec::fabrics::sc::invalid_parameters;
  const std::shared_ptr<SubsystemState> subsystem = find_subsystem(host.subnqn);
  if (subsystem == nullptr) {
    answer.parameter = connect_invalid_parameter(true, offsetof(ConnectData, subnqn));
    return answer;
  }
  const std::shared_ptr<Controller> controller = subsystem->find_controller(cntlid);
  if (controller == nullptr) {
    answer.parameter = connect_invalid_parameter(true, offsetof(ConnectData, cntlid));
  } else if (controller->host().hostnqn != host.hostnqn) {
    answer.parameter = connect_invalid_parameter(true, offsetof(ConnectData, hostnqn));
  } else if (controller->host().hostid != host.hostid) {
    answer.parameter = connect_invalid_parameter(true, offsetof(ConnectData, hostid));
  } else if (!subsystem->allows(host.hostnqn)) {
    answer.status = spec::fabrics::sc::invalid_host;
  } else {
    answer.controller = controller;
    answer.status = nvme_sc::success;
  }
  return answer;
}

void TargetState::host_event(HostEvent event) {
  if (host_events_.size() == most_host_events) host_events_.pop_front();
  host_events_.push_back(std::move(event));
  host_event_there_.set();
}

Task<std::optional<HostEvent>> TargetState::next_host_event() {
  const auto self = shared_from_this();
  require_home("next_host_event");
  while (host_events_.empty()) {
    if (destroyed()) co_return std::nullopt;
    host_event_there_.reset();
    co_await host_event_there_.wait();
  }
  HostEvent event = std::move(host_events_.front());
  host_events_.pop_front();
  co_return event;
}

// ---- numbers

Task<std::vector<ConnectionStats>> TargetState::connections() {
  std::vector<ConnectionStats> all;
  for (const auto& group : groups_) {
    auto ask = [group = group.get()] { return group->connections(); };
    std::vector<ConnectionStats> some = co_await group->thread().call(ask);
    std::ranges::move(some, std::back_inserter(all));
  }
  co_return all;
}

Task<std::vector<PollGroupStats>> TargetState::poll_groups() {
  std::vector<PollGroupStats> all;
  for (const auto& group : groups_) {
    auto ask = [group = group.get()] { return group->stats(); };
    all.push_back(co_await group->thread().call(ask));
  }
  co_return all;
}

}  // namespace spdkio::nvmf
