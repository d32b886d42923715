// Engines that a program was linked with, beside those of the library.
#pragma once

#include <spdkio/engine/engine.hpp>
#include <spdkio/engine/options.hpp>

#include <string_view>

namespace spdkio::engine {

/// How an engine that is not part of the library is started. `library_version` is that of the library that asks; an
/// engine built for another one gives null. May throw Error.
using StartEngine = Engine*(const char* library_version, const EnvOptions& options, bool main_on_caller);

/// A static object of the engine's archive: it enters itself before `main`, so that the engine answers to its name and
/// no module of that name is looked for.
class LinkedEngine {
 public:
  /// `name` is a literal.
  LinkedEngine(std::string_view name, StartEngine* start) noexcept;
  LinkedEngine(const LinkedEngine&) = delete;
  LinkedEngine& operator=(const LinkedEngine&) = delete;
  /// Null: no such engine was linked in.
  static StartEngine* find(std::string_view name) noexcept;

 private:
  const std::string_view name_;
  StartEngine* const start_;
  const LinkedEngine* const next_;
};

}  // namespace spdkio::engine
