// Functions of the PCI bus, opened with VFIO.
#pragma once

#include <spdkio/engine/memory.hpp>

#include <memory>

#include "nvme/pcie/function.hpp"

namespace spdkio::nvme::pcie {

/// `memory` outlives the source and what it opens.
std::unique_ptr<FunctionSource> make_vfio_source(engine::MemoryService& memory);

}  // namespace spdkio::nvme::pcie
