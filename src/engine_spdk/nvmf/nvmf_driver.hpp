// NvmfDriver: SPDK's NVMe-oF target in place of the library's.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "engine_spdk/control.hpp"
#include "engine_spdk/nvmf/spdk_target.hpp"
#include "nvmf/driver.hpp"

namespace spdkio::spdk {

class NvmfDriver final : public nvmf::Driver {
 public:
  explicit NvmfDriver(Control& control) noexcept : control_(control) {}
  NvmfDriver(const NvmfDriver&) = delete;
  NvmfDriver& operator=(const NvmfDriver&) = delete;

  Task<std::shared_ptr<nvmf::TargetBackend>> create_target(const nvmf::TargetOptions& options) override;
  /// Ends the targets that nobody destroyed, before SPDK's subsystems end.
  Task<> destroy_left();

 private:
  Control& control_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<SpdkTarget>> targets_;
};

}  // namespace spdkio::spdk
