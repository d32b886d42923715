#include "engine_embedded/embedded_engine.hpp"

#include <spdkio/base/cpu_set.hpp>

#include <utility>

#include "engine_embedded/core_choice.hpp"

namespace spdkio::embedded {
namespace {

ReactorGroupOptions reactor_options(const EnvOptions& options, MainReactor main_reactor) {
  ReactorGroupOptions group{.name = options.name,
                            .cores = {},
                            .poll_mode = options.poll_mode,
                            .idle_spin = options.idle_spin,
                            .main_reactor = main_reactor};
  // Checked also when there will be no reactors: a mask that can't be honoured is a mistake in any case.
  const CoreChoice choice = choose_cores(options, CpuSet::online(), CpuSet::allowed());
  if (options.reactors) {
    group.cores = choice.cores;
    group.main_core = choice.main_core;
    group.pinned = choice.pinned;
  }
  return group;
}

}  // namespace

EmbeddedEngine::EmbeddedEngine(const EnvOptions& options, MainReactor main_reactor)
    : EmbeddedEngine(options, reactor_options(options, main_reactor)) {}

EmbeddedEngine::EmbeddedEngine(const EnvOptions& options, ReactorGroupOptions reactors)
    : pci_access_(!options.no_pci), memory_(make_memory_service(options)), reactors_(std::move(reactors)) {}

std::string EmbeddedEngine::version() const { return "embedded " SPDKIO_VERSION; }

const engine::Capabilities& EmbeddedEngine::capabilities() const noexcept {
  static constexpr engine::Capabilities capabilities{
      .restart_in_process = true, .sleeps_when_idle = true, .nvme = true, .nvmf = true};
  return capabilities;
}

}  // namespace spdkio::embedded
