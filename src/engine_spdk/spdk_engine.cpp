#include "engine_spdk/spdk_engine.hpp"

#include <spdkio/base/cpu_set.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/block_on.hpp>

#include <fmt/format.h>

#include <spdk/init.h>

#include <string_view>

#include "engine_spdk/environment.hpp"

namespace spdkio::spdk {
namespace {

embedded::ReactorGroupOptions reactor_options(const EnvOptions& options, const embedded::CoreChoice& choice,
                                              embedded::MainReactor main_reactor) {
  embedded::ReactorGroupOptions group{.name = options.name,
                                      .cores = {},
                                      .poll_mode = options.poll_mode,
                                      .idle_spin = options.idle_spin,
                                      .main_reactor = main_reactor};
  if (options.reactors) {
    group.cores = choice.cores;
    group.main_core = choice.main_core;
    group.pinned = choice.pinned;
  }
  return group;
}

}  // namespace

SpdkEngine::SpdkEngine(const EnvOptions& options, embedded::MainReactor main_reactor)
    : cores_(embedded::choose_cores(options, CpuSet::online(), CpuSet::allowed())),
      pci_access_(!options.no_pci),
      control_(options.poll_mode, options.idle_spin, [&options, this] { start_environment(options, cores_); }),
      bdevs_(control_),
      nvme_driver_(control_),
      nvmf_driver_(control_),
      reactors_(reactor_options(options, cores_, main_reactor)) {
  auto startup = [] { MethodBridge::set_runtime(false); };
  block_on(control_.on_app(startup));
  methods_.emplace(control_);
}

SpdkEngine::~SpdkEngine() {
  if (!services_) return;
  try {
    block_on(stop_services());
  } catch (const Error& error) {
    log::critical("SPDK does not stop in order: {}", error.what());
  }
}

std::string SpdkEngine::version() const { return fmt::format("spdk {} (spdkio {})", spdk_version(), SPDKIO_VERSION); }

const engine::Capabilities& SpdkEngine::capabilities() const noexcept {
  static constexpr engine::Capabilities capabilities{
      .restart_in_process = true, .sleeps_when_idle = true, .nvme = true, .nvmf = true};
  return capabilities;
}

Task<> SpdkEngine::start_services() {
  auto begin = [](void* context) {
    ::spdk_subsystem_init([](int rc, void* call) { Control::Call::finish(call, rc); }, context);
  };
  auto initialised = control_.call(begin);
  const int rc = co_await std::move(initialised);
  services_ = true;  // also after a failure: what did start is to be stopped
  if (rc != 0) {
    throw Error::from_errno(rc < 0 ? -rc : rc, "SPDK's subsystems do not start")
        .with_operation("spdk_subsystem_init")
        .with_hint("its log lines above say which; often it needs more memory: mem_size");
  }
  auto runtime = [] { MethodBridge::set_runtime(true); };
  auto set = control_.on_app(runtime);
  co_await std::move(set);
}

Task<> SpdkEngine::stop_services() {
  if (!services_) co_return;
  services_ = false;
  auto leaving = nvmf_driver_.destroy_left();
  co_await std::move(leaving);
  auto begin = [](void* context) {
    ::spdk_subsystem_fini([](void* call) { Control::Call::finish(call, 0); }, context);
  };
  auto ended = control_.call(begin);
  co_await std::move(ended);
}

engine::Engine* start_spdk_engine(const char* library_version, const EnvOptions& options, bool main_on_caller) {
  if (std::string_view(library_version) != SPDKIO_VERSION) return nullptr;
  using embedded::MainReactor;
  return new SpdkEngine(options, main_on_caller ? MainReactor::caller : MainReactor::own_thread);
}

}  // namespace spdkio::spdk
