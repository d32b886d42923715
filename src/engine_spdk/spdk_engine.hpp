// The spdk engine: an installed SPDK behind the seam.
#pragma once

#include <spdkio/engine/engine.hpp>
#include <spdkio/engine/options.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/pci_access.hpp"
#include "engine_embedded/core_choice.hpp"
#include "engine_embedded/reactor_group.hpp"
#include "engine_spdk/bdev_service.hpp"
#include "engine_spdk/control.hpp"
#include "engine_spdk/memory.hpp"
#include "engine_spdk/method_bridge.hpp"
#include "engine_spdk/nvme/nvme_driver.hpp"
#include "engine_spdk/nvmf/nvmf_driver.hpp"

namespace spdkio::spdk {

/// SPDK's libraries are up from construction to destruction, its subsystems from `start_services` to `stop_services`.
class SpdkEngine final : public engine::Engine {
 public:
  SpdkEngine(const EnvOptions& options, embedded::MainReactor main_reactor);
  ~SpdkEngine() override;

  std::string_view name() const noexcept override { return "spdk"; }
  std::string version() const override;
  const engine::Capabilities& capabilities() const noexcept override;

  engine::MemoryService& memory() noexcept override { return SpdkMemory::instance(); }
  engine::ReactorService& reactors() noexcept override { return reactors_; }
  bdev::Service& bdevs() noexcept override { return bdevs_; }
  nvme::Driver* nvme_driver() noexcept override { return &nvme_driver_; }
  nvmf::Driver* nvmf_driver() noexcept override { return &nvmf_driver_; }
  engine::MethodService* methods() noexcept override { return &*methods_; }

  Task<> start_services() override;
  Task<> stop_services() override;

 private:
  const embedded::CoreChoice cores_;
  engine::PciAccess pci_access_;
  Control control_;
  SpdkBdevs bdevs_;
  NvmeDriver nvme_driver_;
  NvmfDriver nvmf_driver_;
  std::optional<MethodBridge> methods_;
  bool services_ = false;
  embedded::ReactorGroup reactors_;  // last: what runs on them uses the others
};

/// See `engine::StartEngine`.
engine::Engine* start_spdk_engine(const char* library_version, const EnvOptions& options, bool main_on_caller);

}  // namespace spdkio::spdk
