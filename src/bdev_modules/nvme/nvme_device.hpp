// NvmeDevice: a namespace as a bdev.
#pragma once

#include <spdkio/bdev/device.hpp>
#include <spdkio/nvme/namespace.hpp>

#include <memory>
#include <string>

#include "nvme/controller_core.hpp"

namespace spdkio::bdev::nvme_disk {

class AttachedController;

class NvmeDevice final : public Device {
 public:
  NvmeDevice(std::string name, std::shared_ptr<AttachedController> controller,
             std::shared_ptr<nvme::NamespaceState> space);
  bool supports(IoType type) const noexcept override;
  std::unique_ptr<Channel> make_channel() override;
  nlohmann::ordered_json driver_specific() const override;
  nlohmann::ordered_json config() const override;

 private:
  const std::shared_ptr<AttachedController> controller_;
  const std::shared_ptr<nvme::NamespaceState> space_;
};

}  // namespace spdkio::bdev::nvme_disk
