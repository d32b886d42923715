#include <spdkio/nvmf/target.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/engine/engine.hpp>

#include <utility>

#include "nvmf/driver.hpp"
#include "nvmf/target_state.hpp"

namespace spdkio::nvmf {
namespace {

/// Null: the library's own target.
Driver* driver_for(Provider provider) {
  if (provider == Provider::library) return nullptr;
  engine::Engine* const engine = engine::Engine::current_or_null();
  Driver* const driver = engine != nullptr ? engine->nvmf_driver() : nullptr;
  if (driver == nullptr && provider == Provider::engine) {
    throw Error(Misuse::not_supported, "the engine has no target of its own")
        .with_operation("Target::create")
        .with_hint("use Provider::automatic, or the engine 'spdk'");
  }
  return driver;
}

Task<Target> create_owned(TargetOptions options, std::string name, std::string mask) {
  if (Target::find(name) != nullptr) {
    throw Error(std::errc::file_exists, "there is a target of that name")
        .with_operation("Target::create")
        .with_device(name);
  }
  options.name = name;
  options.poll_groups_mask = mask;
  if (Driver* const driver = driver_for(options.provider)) {
    auto creating = driver->create_target(options);
    std::shared_ptr<TargetBackend> made = co_await std::move(creating);
    co_return Target(std::move(made));
  }
  auto state = std::make_shared<TargetState>(options);
  co_await TargetBackend::open_and_add(state, mask);
  co_return Target(state);
}

Task<Subsystem> create_subsystem_owned(std::shared_ptr<TargetBackend> state, std::string nqn, SubsystemOptions options,
                                       std::string serial, std::string model) {
  options.serial_number = serial;
  options.model_number = model;
  auto creating = state->create(std::move(nqn), options);
  co_return Subsystem(co_await std::move(creating));
}

}  // namespace

Task<Target> Target::create(const TargetOptions& options) {
  return create_owned(options, std::string(options.name), std::string(options.poll_groups_mask));
}

Target::~Target() {
  if (owner_ && state_ != nullptr && !state_->destroyed()) {
    log::warn("nvmf: target '{}' was not destroyed; it goes on until the application ends", state_->name());
  }
}

const std::string& Target::name() const noexcept { return state_->name(); }

Task<> Target::add_transport(const Transport& transport) const {
  state_->require_home("add_transport");
  return state_->add_transport(transport.type(), TransportSettings(transport.options()));
}

bool Target::has_transport(nvme::TransportType type) const { return state_->transport(type) != nullptr; }

void Target::add_referral(const Referral& referral) const {
  state_->require_home("add_referral");
  state_->add_referral(referral);
}

void Target::remove_referral(const nvme::TransportId& where) const {
  state_->require_home("remove_referral");
  state_->remove_referral(where);
}

std::vector<Referral> Target::referrals() const {
  state_->require_home("referrals");
  return state_->referrals();
}

Task<Subsystem> Target::create_subsystem(std::string_view nqn, const SubsystemOptions& options) const {
  state_->require_home("create_subsystem");
  return create_subsystem_owned(state_, std::string(nqn), options, std::string(options.serial_number),
                                std::string(options.model_number));
}

std::optional<Subsystem> Target::find_subsystem(std::string_view nqn) const {
  state_->require_home("find_subsystem");
  for (auto& subsystem : state_->list()) {
    if (subsystem->nqn() == nqn) return Subsystem(std::move(subsystem));
  }
  return std::nullopt;
}

std::vector<Subsystem> Target::subsystems() const {
  state_->require_home("subsystems");
  std::vector<Subsystem> list;
  for (auto& subsystem : state_->list()) list.emplace_back(std::move(subsystem));
  return list;
}

Subsystem Target::discovery() const {
  state_->require_home("discovery");
  return Subsystem(state_->list().front());
}

void Target::set_admission(AdmissionHook hook) const {
  state_->require_home("set_admission");
  state_->set_admission(std::move(hook));
}

Task<std::optional<HostEvent>> Target::next_host_event() const { return state_->next_host_event(); }

Task<std::vector<ConnectionStats>> Target::connections() const {
  state_->require_home("connections");
  return state_->connections();
}

Task<std::vector<PollGroupStats>> Target::poll_groups() const {
  state_->require_home("poll_groups");
  return state_->poll_groups();
}

Task<> Target::destroy() {
  state_->require_home("destroy");
  return state_->destroy();
}

std::shared_ptr<TargetBackend> Target::find(std::string_view name) {
  for (auto& target : TargetBackend::all()) {
    if (target->name() == name) return std::move(target);
  }
  return nullptr;
}

Task<> destroy_all_targets() {
  for (;;) {
    const std::vector<std::shared_ptr<TargetBackend>> left = TargetBackend::all();
    if (left.empty()) co_return;
    co_await left.back()->destroy();
  }
}

}  // namespace spdkio::nvmf
