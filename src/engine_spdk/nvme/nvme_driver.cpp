#include "engine_spdk/nvme/nvme_driver.hpp"

#include <chrono>

#include "engine_spdk/nvme/connect_options.hpp"
#include "engine_spdk/nvme/spdk_transport.hpp"

namespace spdkio::spdk {

NvmeDriver::NvmeDriver(Control& control) : control_(control), book_(std::make_shared<AddressBook>()) {}
NvmeDriver::~NvmeDriver() = default;

std::unique_ptr<nvme::HostTransport> NvmeDriver::make_transport(const nvme::ControllerSettings& settings) {
  check_connect_options(settings);
  const std::lock_guard lock(mutex_);
  if (!os_thread_) {
    os_thread_.emplace(OsThread::Options{.os_name = "spdk/nvme",
                                         .name = "spdk_nvme",
                                         .idle_spin = std::chrono::microseconds{0},
                                         .set_up = [] {},
                                         .tear_down = [] {}});
  }
  return std::make_unique<SpdkTransport>(settings, os_thread_->handle(), book_, control_.threads());
}

}  // namespace spdkio::spdk
