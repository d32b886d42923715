// SPDK's environment: DPDK with its memory and lcores.
#pragma once

#include <spdkio/engine/options.hpp>

#include <string>

#include "engine_embedded/core_choice.hpp"

namespace spdkio::spdk {

/// Starts it with the first call. It can't be started anew in the same process, so it stays to the end; later calls
/// check that it was started with what they need. Blocks, and binds the calling OS thread to a core: call it on one of
/// its own. Throws Error.
void start_environment(const EnvOptions& options, const embedded::CoreChoice& cores);

/// `26.5`, of the SPDK that is linked.
std::string spdk_version();

}  // namespace spdkio::spdk
