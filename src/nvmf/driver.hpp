// Driver: an NVMe-oF target that an engine brings along, in place of the library's own.
#pragma once

#include <spdkio/nvmf/target.hpp>

#include <memory>

#include "nvmf/target_backend.hpp"

namespace spdkio::nvmf {

class Driver {
 public:
  /// A new target with its discovery subsystem, which belongs to the current Thread and is known by its name there. The
  /// texts live until the Task has ended. Throws Error, EEXIST when the engine has a target of that name.
  virtual Task<std::shared_ptr<TargetBackend>> create_target(const TargetOptions& options) = 0;

 protected:
  ~Driver() = default;
};

}  // namespace spdkio::nvmf
