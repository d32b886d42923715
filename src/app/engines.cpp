#include "app/engines.hpp"

#include <spdkio/base/error.hpp>

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <string>

#include "app/engine_module.hpp"
#include "engine/linked_engine.hpp"
#include "engine_embedded/embedded_engine.hpp"

namespace spdkio::app {
namespace {

std::unique_ptr<engine::Engine> start_embedded(const EnvOptions& options, bool main_on_caller) {
  return std::make_unique<embedded::EmbeddedEngine>(
      options, main_on_caller ? embedded::MainReactor::caller : embedded::MainReactor::own_thread);
}

std::unique_ptr<engine::Engine> start_spdk(const EnvOptions& options, bool main_on_caller) {
  engine::StartEngine* const linked = engine::LinkedEngine::find("spdk");
  if (linked == nullptr) return start_engine_module("spdk", options, main_on_caller);
  std::unique_ptr<engine::Engine> engine(linked(SPDKIO_VERSION, options, main_on_caller));
  if (engine == nullptr) {
    throw Error(
        Misuse::invalid_argument,
        fmt::format("the spdk engine in this program is of another version than {} of this library", SPDKIO_VERSION));
  }
  return engine;
}

constexpr std::array<EngineEntry, 2> all_engines{{
    {"embedded", "user-space storage on Linux and packaged libraries", start_embedded},
    {"spdk", "adapter onto an installed SPDK", start_spdk, true},
}};

}  // namespace

std::span<const EngineEntry> engines() noexcept { return all_engines; }

const EngineEntry& choose_engine(const EnvOptions& options) {
  std::string name = options.engine;
  const char* from_environment = std::getenv("SPDKIO_ENGINE");
  const bool by_environment = name.empty() && from_environment != nullptr && *from_environment != '\0';
  if (by_environment) name = from_environment;
  if (name.empty()) return all_engines.front();

  std::string known;
  for (const EngineEntry& entry : all_engines) {
    if (entry.name == name) return entry;
    known += fmt::format("{}'{}'", known.empty() ? "" : ", ", entry.name);
  }
  throw Error(Misuse::invalid_argument, fmt::format("there is no engine '{}'{}; known are {}", name,
                                                    by_environment ? " (from SPDKIO_ENGINE)" : "", known));
}

}  // namespace spdkio::app
