// What a block device must be like to be a namespace, and how targets hold it.
#pragma once

#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/runtime/task.hpp>

#include <memory>
#include <string>

namespace spdkio::nvmf {

/// A block device that a target has for itself, together with other targets.
struct NamespaceDevice {
  std::shared_ptr<BdevDesc> desc;
  bool writable = false;
};

enum class ZonedDevices : bool { refused, allowed };

/// Opens it for writing, or for reading when it can't be written, and claims it. `nqn` is for the texts of errors.
/// Throws ENODEV, EPERM, and Misuse::invalid_argument for what can't be a namespace.
Task<NamespaceDevice> open_namespace_device(std::string bdev_name, std::string nqn, ZonedDevices zoned);

}  // namespace spdkio::nvmf
