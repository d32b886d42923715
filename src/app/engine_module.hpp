// Engines that are not part of the library: shared objects loaded by name, so that what they link stays out of the
// user's link line.
#pragma once

#include <spdkio/engine/engine.hpp>
#include <spdkio/engine/options.hpp>

#include <memory>
#include <string_view>

namespace spdkio::app {

/// Loads the module `libspdkio-engine-<name>.so` and starts its engine: it exports an `engine::StartEngine` under the
/// name `spdkio_start_engine`. It is looked for in the folders of the environment variable SPDKIO_ENGINE_PATH
/// (separated by ':'), in that of this library, and where the dynamic linker looks. It stays loaded. Throws ENOENT that
/// lists where it was looked for, or Misuse::invalid_argument when what was found is no module for this library.
std::unique_ptr<engine::Engine> start_engine_module(std::string_view name, const EnvOptions& options,
                                                    bool main_on_caller);

}  // namespace spdkio::app
