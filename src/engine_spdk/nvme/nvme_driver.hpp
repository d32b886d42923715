// NvmeDriver: SPDK's initiator in place of the library's.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "engine_spdk/control.hpp"
#include "engine_spdk/nvme/address_book.hpp"
#include "engine_spdk/os_thread.hpp"
#include "nvme/driver.hpp"

namespace spdkio::spdk {

class NvmeDriver final : public nvme::Driver {
 public:
  explicit NvmeDriver(Control& control);
  ~NvmeDriver();

  std::unique_ptr<nvme::HostTransport> make_transport(const nvme::ControllerSettings& settings) override;

 private:
  Control& control_;
  const std::shared_ptr<AddressBook> book_;
  std::mutex mutex_;
  std::optional<OsThread> os_thread_;  // from the first controller on
};

}  // namespace spdkio::spdk
