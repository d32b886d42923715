// The one list of engines.
#pragma once

#include <spdkio/engine/engine.hpp>
#include <spdkio/engine/options.hpp>

#include <memory>
#include <span>
#include <string_view>

namespace spdkio::app {

struct EngineEntry {
  std::string_view name;
  std::string_view description;
  /// `main_on_caller`: the main reactor runs on the OS thread that calls `ReactorService::run`, not on one of its own.
  std::unique_ptr<engine::Engine> (*start)(const EnvOptions& options, bool main_on_caller);
  /// It has RPC methods of its own, which are known once it runs.
  bool brings_methods = false;
};

/// The default first.
std::span<const EngineEntry> engines() noexcept;

/// By the name in the options, or else the environment variable SPDKIO_ENGINE, or else the default. Throws
/// Misuse::invalid_argument that lists the names.
const EngineEntry& choose_engine(const EnvOptions& options);

}  // namespace spdkio::app
