// The embedded engine: memory, reactors and block devices of this process, on Linux and nothing else.
#pragma once

#include <spdkio/engine/engine.hpp>
#include <spdkio/engine/options.hpp>

#include <string>
#include <string_view>

#include "bdev/registry.hpp"
#include "engine/pci_access.hpp"
#include "engine_embedded/memory/memory_service.hpp"
#include "engine_embedded/reactor_group.hpp"

namespace spdkio::embedded {

/// Runs from construction to destruction, which asks all tasks on its reactors to stop and waits for them. Block
/// devices must have been removed by then.
class EmbeddedEngine final : public engine::Engine {
 public:
  EmbeddedEngine(const EnvOptions& options, MainReactor main_reactor);

  std::string_view name() const noexcept override { return "embedded"; }
  std::string version() const override;
  const engine::Capabilities& capabilities() const noexcept override;

  engine::MemoryService& memory() noexcept override { return *memory_; }
  engine::ReactorService& reactors() noexcept override { return reactors_; }
  bdev::Service& bdevs() noexcept override { return bdevs_; }

 private:
  EmbeddedEngine(const EnvOptions& options, ReactorGroupOptions reactors);

  engine::PciAccess pci_access_;
  MemoryHandle memory_;
  bdev::Registry bdevs_;
  ReactorGroup reactors_;  // last: what runs on them uses the others
};

}  // namespace spdkio::embedded
