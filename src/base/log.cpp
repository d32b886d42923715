#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <array>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace spdkio::log {
namespace {

constexpr std::array<std::string_view, 7> level_names{"trace", "debug", "info", "warn", "error", "critical", "off"};

struct LevelAlias {
  std::string_view name;
  Level level;
};
constexpr std::array level_aliases{LevelAlias{"warning", Level::warn}, LevelAlias{"notice", Level::info},
                                   LevelAlias{"disabled", Level::off}};

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::trace: return spdlog::level::trace;
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warn: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
    case Level::critical: return spdlog::level::critical;
    case Level::off: break;
  }
  return spdlog::level::off;
}

Sink standard_error_sink() {
  auto logger = std::make_shared<spdlog::logger>("spdkio", std::make_shared<spdlog::sinks::stderr_color_sink_st>());
  logger->set_level(spdlog::level::trace);
  logger->set_pattern("[%Y-%m-%d %H:%M:%S.%e] [%n] [%^%l%$] %v");
  return [logger = std::move(logger)](Level level, std::string_view text) {
    logger->log(to_spdlog(level), spdlog::string_view_t{text.data(), text.size()});
  };
}

struct State {
  std::mutex mutex;
  Sink sink;
};

// Never destroyed: destructors of static objects may still log.
State& state() {
  static State& state = *new State;
  return state;
}

thread_local bool in_sink = false;

}  // namespace

std::string_view to_string(Level level) noexcept {
  const auto index = static_cast<std::size_t>(level);
  return index < level_names.size() ? level_names[index] : "unknown";
}

Level level_from_string(std::string_view name) {
  std::string lower{name};
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  for (std::size_t i = 0; i < level_names.size(); ++i) {
    if (lower == level_names[i]) return static_cast<Level>(i);
  }
  for (const auto& alias : level_aliases) {
    if (lower == alias.name) return alias.level;
  }
  throw Error(Misuse::invalid_argument,
              fmt::format("unknown log level \"{}\"; there are {}", name, fmt::join(level_names, ", ")));
}

void set_sink(Sink sink) {
  if (in_sink) throw Error(Misuse::would_block, "a log sink may not replace the log sink");
  std::lock_guard lock(state().mutex);
  // Swapped, so that the former sink dies after the lock is gone: it may log.
  state().sink.swap(sink);
}

void detail::write(Level level, fmt::string_view format, fmt::format_args args) noexcept {
  if (level >= Level::off || in_sink) return;
  try {
    fmt::memory_buffer text;
    fmt::vformat_to(std::back_inserter(text), format, args);
    std::lock_guard lock(state().mutex);
    in_sink = true;
    struct Leave {
      ~Leave() { in_sink = false; }
    } leave;
    if (!state().sink) state().sink = standard_error_sink();
    state().sink(level, {text.data(), text.size()});
  } catch (...) {
  }
}

}  // namespace spdkio::log
