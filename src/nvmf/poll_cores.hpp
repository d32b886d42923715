// Which reactors poll the connections of a target.
#pragma once

#include <spdkio/runtime/lcore.hpp>

#include <string>
#include <vector>

namespace spdkio::nvmf {

/// The cores of `mask` that have a reactor, all when it is empty. None: this engine has no reactors, and the target's
/// own Thread polls. Throws Misuse::invalid_argument when the mask names no reactor's core.
std::vector<CoreId> poll_cores(const std::string& mask);

}  // namespace spdkio::nvmf
