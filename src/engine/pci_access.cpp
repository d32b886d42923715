#include "engine/pci_access.hpp"

#include <atomic>

namespace spdkio::engine {
namespace {

std::atomic<bool> is_allowed{true};

}  // namespace

PciAccess::PciAccess(bool allowed) noexcept { is_allowed = allowed; }
PciAccess::~PciAccess() { is_allowed = true; }
bool PciAccess::allowed() noexcept { return is_allowed; }

}  // namespace spdkio::engine
