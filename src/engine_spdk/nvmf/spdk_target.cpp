#include "engine_spdk/nvmf/spdk_target.hpp"

#include <spdkio/base/cpu_set.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/error_context.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>

#include "engine_spdk/nvmf/listen_address.hpp"
#include "engine_spdk/nvmf/target_transport.hpp"
#include "nvmf/poll_cores.hpp"

namespace spdkio::spdk {
namespace {

/// The target that SPDK's programs have from the start, and that its RPC methods mean when they name none.
constexpr std::string_view spdks_own_target = "nvmf_tgt";

struct MakingTransport {
  spdk_nvmf_transport* transport = nullptr;
  void* call = nullptr;

  static void made(void* arg, spdk_nvmf_transport* transport) noexcept {
    auto& self = *static_cast<MakingTransport*>(arg);
    self.transport = transport;
    Control::Call::finish(self.call, transport != nullptr ? 0 : -EINVAL);
  }
};

/// `allow_any_host` is of newer releases; without it everybody sees them.
template <class Options>
Options referral_options(const spdk_nvme_transport_id& where, bool secure_channel) {
  Options opts{};
  opts.size = sizeof opts;
  opts.trid = where;
  opts.secure_channel = secure_channel;
  if constexpr (requires { opts.allow_any_host; }) opts.allow_any_host = true;
  return opts;
}

spdk_nvmf_referral_opts to_spdk(const nvmf::Referral& referral) {
  const nvme::TransportId& where = referral.where;
  return referral_options<spdk_nvmf_referral_opts>(
      to_spdk_address(where.trtype, where.traddr, where.trsvcid, where.subnqn,
                      where.adrfam == nvme::AddressFamily::ipv6),
      referral.secure_channel);
}

}  // namespace

SpdkTarget::SpdkTarget(Control& control, const nvmf::TargetOptions& options)
    : TargetBackend(std::string(options.name)), control_(control), max_subsystems_(options.max_subsystems) {}

void SpdkTarget::not_supported(const char* operation, std::string what, std::string hint) const {
  throw Error(Misuse::not_supported, std::move(what))
      .with_operation(operation)
      .with_device(name())
      .with_hint(std::move(hint));
}

// ---- its beginning

Task<> SpdkTarget::open(std::string mask) {
  const ErrorContext doing("making SPDK's NVMe-oF target {}", name());
  const std::vector<CoreId> cores = nvmf::poll_cores(mask);
  auto making = make_target();
  co_await std::move(making);
  const auto group_name = [this] { return fmt::format("{}_poll_group_{:03}", name(), groups_.size()); };
  if (cores.empty()) groups_.push_back(std::make_unique<TargetPollGroup>(group_name(), std::nullopt));
  for (const CoreId core : cores) {
    const std::string name_of_group = group_name();
    CpuSet one;
    one.add(static_cast<unsigned>(core));
    groups_.push_back(std::make_unique<TargetPollGroup>(name_of_group, Thread::create(name_of_group, one)));
  }
  for (const auto& group : groups_) {
    auto opening = group->open(control_.threads(), target_);
    co_await std::move(opening);
  }
  nvmf::SubsystemOptions discovery_options;
  discovery_options.allow_any_host = true;
  auto discovery = std::make_shared<SpdkSubsystem>(*this, std::string(spec::fabrics::discovery_nqn), discovery_options);
  auto knowing = discovery->make();
  co_await std::move(knowing);
  subsystems_.push_back(discovery);
  auto starting = discovery->start();
  co_await std::move(starting);
}

Task<> SpdkTarget::make_target() {
  auto make = [this] {
    spdk_nvmf_target_opts opts{};
    opts.size = sizeof opts;
    // That name is taken by a target which is not a program's.
    std::string spdk_name = name();
    if (spdk_name == spdks_own_target && ::spdk_nvmf_get_tgt(spdk_name.c_str()) != nullptr)
      spdk_name = "spdkio:" + spdk_name;
    if (spdk_name.size() >= sizeof opts.name) return -ENAMETOOLONG;
    if (::spdk_nvmf_get_tgt(spdk_name.c_str()) != nullptr) return -EEXIST;
    std::ranges::copy(spdk_name, opts.name);
    opts.max_subsystems = max_subsystems_ + 1;  // and the discovery subsystem
    target_ = ::spdk_nvmf_tgt_create(&opts);
    return target_ != nullptr ? 0 : -ENOMEM;
  };
  auto making = ask_app(control_, make);
  const Outcome made = co_await std::move(making);
  if (made.ok()) co_return;
  const char* const what = made.rc == -EEXIST ? "SPDK has a target of that name" : "SPDK makes no target";
  throw made.error(what).with_operation("Target::create").with_device(name());
}

// ---- its end

Task<> SpdkTarget::destroy() {
  const auto self = shared_from_this();
  require_home("destroy");
  if (std::exchange(destroying_, true)) {
    co_await destroyed_event_.wait();
    co_return;
  }
  auto tearing = tear_down();
  co_await std::move(tearing);
  for (const auto& subsystem : std::exchange(subsystems_, {})) {
    auto forgetting = subsystem->forget();
    co_await std::move(forgetting);
  }
  for (const auto& group : groups_) {
    auto ending = group->end_thread();
    co_await std::move(ending);
  }
  groups_.clear();
  set_destroyed();
  destroyed_event_.set();
  remove(*this);
}

Task<> SpdkTarget::tear_down() {
  const auto self = shared_from_this();
  if (tearing_down_.exchange(true)) {
    while (!torn_down_) {
      const auto slept = co_await as_result(sleep_for(std::chrono::milliseconds{1}));
      if (!slept) std::this_thread::yield();
    }
    co_return;
  }
  bool whole = true;
  if (target_ != nullptr) {
    // Also those that SPDK's RPC methods made in it.
    std::vector<spdk_nvmf_subsystem*> subsystems;
    auto list = [this, &subsystems] {
      for (auto* each = ::spdk_nvmf_subsystem_get_first(target_); each != nullptr;
           each = ::spdk_nvmf_subsystem_get_next(each)) {
        subsystems.push_back(each);
      }
    };
    auto listed = control_.on_app(std::move(list));
    co_await std::move(listed);
    for (spdk_nvmf_subsystem* const subsystem : subsystems) {
      auto destroying = destroy_spdk_subsystem(control_, target_, subsystem);
      co_await std::move(destroying);
    }
    for (const auto& group : groups_) {
      auto closing = group->close(control_);
      if (!co_await std::move(closing)) whole = false;
    }
    if (whole) {
      auto begin = [this](void* call) { ::spdk_nvmf_tgt_destroy(target_, Control::Call::finish, call); };
      auto destroying = await_app(control_, begin);
      const Outcome destroyed = co_await std::move(destroying);
      if (!destroyed.ok()) log::error("nvmf: SPDK's target '{}' ends with error {}", name(), -destroyed.rc);
    } else {
      log::error("nvmf: a thread that served hosts of target '{}' ended before it; SPDK keeps the target", name());
    }
  }
  torn_down_ = true;
}

// ---- transports and subsystems

Task<> SpdkTarget::add_transport(nvme::TransportType type, nvmf::TransportSettings settings) {
  const ErrorContext doing("adding a transport to SPDK's NVMe-oF target {}", name());
  const auto self = shared_from_this();
  require_home("add_transport");
  if (transports_.contains(type)) {
    throw Error(std::errc::file_exists, "the target has that transport")
        .with_operation("add_transport")
        .with_device(name());
  }
  const std::unique_ptr<TransportRequest> request = to_spdk_request(type, settings, groups_.size());
  const std::string spdk_transport(spdk_name(type));
  MakingTransport making;
  auto begin = [&](void* call) {
    making.call = call;
    const int rc =
        ::spdk_nvmf_transport_create_async(spdk_transport.c_str(), &request->opts, MakingTransport::made, &making);
    if (rc != 0) Control::Call::finish(call, rc);
  };
  auto creating = await_app(control_, begin);
  const Outcome created = co_await std::move(creating);
  if (!created.ok()) {
    throw created.error(fmt::format("SPDK makes no {} transport", spdk_transport))
        .with_operation("add_transport")
        .with_device(name());
  }
  auto add = [this, &making](void* call) {
    ::spdk_nvmf_tgt_add_transport(target_, making.transport, Control::Call::finish, call);
  };
  auto adding = await_app(control_, add);
  const Outcome added = co_await std::move(adding);
  if (!added.ok()) {
    auto drop = [&making](void* call) {
      const auto gone = [](void* context) { Control::Call::finish(context, 0); };
      ::spdk_nvmf_transport_destroy(making.transport, gone, call);
    };
    auto dropping = await_app(control_, drop);
    co_await std::move(dropping);
    throw added.error(fmt::format("SPDK does not add the {} transport", spdk_transport))
        .with_operation("add_transport")
        .with_device(name())
        .with_hint("it may need more memory: mem_size");
  }
  transports_.emplace(type, std::move(settings));
}

const nvmf::TransportSettings* SpdkTarget::transport(nvme::TransportType type) const noexcept {
  const auto found = transports_.find(type);
  return found == transports_.end() ? nullptr : &found->second;
}

Task<std::shared_ptr<nvmf::SubsystemBackend>> SpdkTarget::create(std::string nqn, nvmf::SubsystemOptions options) {
  const auto self = shared_from_this();
  require_home("create_subsystem");
  const auto refuse = [&nqn](std::errc code, std::string what) {
    throw Error(code, std::move(what)).with_operation("create_subsystem").with_device(nqn);
  };
  const auto known = [this, &nqn] {
    return std::ranges::any_of(subsystems_, [&nqn](const auto& each) { return each->nqn() == nqn; });
  };
  if (known()) refuse(std::errc::file_exists, "there is a subsystem of that name");
  if (subsystems_.size() > max_subsystems_) {
    refuse(std::errc::no_space_on_device, fmt::format("the target has {} subsystems", max_subsystems_));
  }
  auto subsystem = std::make_shared<SpdkSubsystem>(*this, nqn, options);
  auto making = subsystem->make();
  co_await std::move(making);
  subsystems_.push_back(subsystem);
  co_return subsystem;
}

std::vector<std::shared_ptr<nvmf::SubsystemBackend>> SpdkTarget::list() const {
  return {subsystems_.begin(), subsystems_.end()};
}

void SpdkTarget::forget_subsystem(const SpdkSubsystem& subsystem) noexcept {
  std::erase_if(subsystems_, [&subsystem](const auto& each) { return each.get() == &subsystem; });
}

// ---- what is not waited for

void SpdkTarget::carry(std::string what, std::function<int()> fn, std::function<void()> undo) {
  auto act = [self = shared_from_this(), what = std::move(what), fn = std::move(fn), undo = std::move(undo)] {
    self->control_.app().make_current();
    Outcome outcome;
    {
      const LogCapture capture(outcome.said);
      outcome.rc = fn();
    }
    if (outcome.ok()) return;
    log::error("nvmf: {}: {}", what, outcome.error("SPDK refuses it").what());
    [[maybe_unused]] const auto sent = self->home().send(undo);
  };
  const auto sent = control_.handle().send(std::move(act));
  if (!sent) throw sent.error();
}

void SpdkTarget::referral_added(const nvmf::Referral& referral) {
  const spdk_nvmf_referral_opts opts = to_spdk(referral);
  carry(
      "listing a discovery service", [this, opts] { return ::spdk_nvmf_tgt_add_referral(target_, &opts); },
      [self = shared_from_this(), where = referral.where] { self->drop_referral(where); });
}

void SpdkTarget::referral_removed(const nvmf::Referral& referral) {
  const spdk_nvmf_referral_opts opts = to_spdk(referral);
  carry(
      "no longer listing a discovery service", [this, opts] { return ::spdk_nvmf_tgt_remove_referral(target_, &opts); },
      [] {});
}

// ---- what SPDK's target does not tell

void SpdkTarget::set_admission(nvmf::AdmissionHook hook) {
  if (!hook) return;
  not_supported("set_admission", "SPDK's target asks nobody whether a host may connect",
                "use the list of hosts of the subsystem, or Provider::library");
}

Task<std::optional<nvmf::HostEvent>> SpdkTarget::next_host_event() {
  not_supported("next_host_event", "SPDK's target does not tell which hosts come and go", "use Provider::library");
}

Task<std::vector<nvmf::ConnectionStats>> SpdkTarget::connections() {
  not_supported("connections", "SPDK's target does not count by connection",
                "ask Target::poll_groups, SPDK's RPC method nvmf_subsystem_get_qpairs, or use Provider::library");
}

Task<std::vector<nvmf::PollGroupStats>> SpdkTarget::poll_groups() {
  const auto self = shared_from_this();
  std::vector<nvmf::PollGroupStats> all;
  for (const auto& group : groups_) {
    auto asking = group->stats();
    all.push_back(co_await std::move(asking));
  }
  co_return all;
}

}  // namespace spdkio::spdk
