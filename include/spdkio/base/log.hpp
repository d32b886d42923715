// Log lines of the library: levels, formatting checked at compile time, and where the lines go.
#pragma once

#include <fmt/core.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>

namespace spdkio::log {

enum class Level : std::uint8_t { trace, debug, info, warn, error, critical, off };

/// "trace" .. "critical", "off". Static storage.
std::string_view to_string(Level level) noexcept;
/// The level of a name in any case, also SPDK's names ("WARNING", "NOTICE", "DISABLED").
/// Throws Error (Misuse::invalid_argument), which lists the names, for anything else.
Level level_from_string(std::string_view name);

namespace detail {
inline constinit std::atomic<Level> threshold{Level::info};
void write(Level level, fmt::string_view format, fmt::format_args args) noexcept;
}  // namespace detail

/// Drops messages below `level` from now on; `off` drops all. At first: `info`. Any thread.
inline void set_level(Level level) noexcept { detail::threshold.store(level, std::memory_order_relaxed); }
inline Level level() noexcept { return detail::threshold.load(std::memory_order_relaxed); }
/// Whether a message of this level would be written: for arguments that are costly to compute.
inline bool enabled(Level of_message) noexcept { return of_message >= level(); }

/// Receives the level and the text of a message, without a newline. The text is valid during the call.
using Sink = std::function<void(Level, std::string_view)>;

/// Sends messages to `sink` from now on; an empty function restores the default, which is standard error. Calls of a
/// sink come from any thread, one at a time; no call of the former sink runs any more when this returns. What a sink
/// throws is swallowed and what it logs is dropped. Throws Error (Misuse::would_block) when called by a sink.
void set_sink(Sink sink);

/// Formats and writes one message unless its level is dropped. Never throws: a message that cannot be formatted or
/// written is lost. Any thread. The default sink may block as standard error does.
template <class... Args>
void write(Level level, fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (enabled(level)) detail::write(level, format, fmt::make_format_args(args...));
}
template <class... Args>
void trace(fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (enabled(Level::trace)) detail::write(Level::trace, format, fmt::make_format_args(args...));
}
template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (enabled(Level::debug)) detail::write(Level::debug, format, fmt::make_format_args(args...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (enabled(Level::info)) detail::write(Level::info, format, fmt::make_format_args(args...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (enabled(Level::warn)) detail::write(Level::warn, format, fmt::make_format_args(args...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (enabled(Level::error)) detail::write(Level::error, format, fmt::make_format_args(args...));
}
template <class... Args>
void critical(fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (enabled(Level::critical)) detail::write(Level::critical, format, fmt::make_format_args(args...));
}

}  // namespace spdkio::log
