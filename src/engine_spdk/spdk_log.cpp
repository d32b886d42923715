#include "engine_spdk/spdk_log.hpp"

#include <spdkio/base/log.hpp>

#include <spdk/log.h>

#include <array>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <string_view>
#include <utility>

namespace spdkio::spdk {
namespace {

/// The first lines say why, the others what followed from it.
constexpr std::size_t most_captured = 400;

thread_local std::string* captured = nullptr;

void capture(std::string_view message) noexcept {
  // Which controller and queue pair it is about, and their states: whoever captures knows.
  while (message.starts_with('[')) {
    const auto end = message.find("] ");
    if (end == std::string_view::npos) break;
    message.remove_prefix(end + 2);
  }
  try {
    if (captured->size() > most_captured) return;
    if (!captured->empty()) *captured += "; ";
    *captured += message;
  } catch (...) {  // then less is said
  }
}

log::Level level_of(int spdk_level) {
  switch (spdk_level) {
    case SPDK_LOG_ERROR: return log::Level::error;
    case SPDK_LOG_WARN: return log::Level::warn;
    default: return log::Level::debug;
  }
}

void write(int level, const char* file, const int line, const char*, const char* format, va_list args) {
  std::array<char, 1024> text;
  if (std::vsnprintf(text.data(), text.size(), format, args) < 0) return;
  std::string_view message = text.data();
  while (message.ends_with('\n')) message.remove_suffix(1);
  if (message.empty()) return;
  log::Level our_level = level_of(level);
  if (captured != nullptr && our_level != log::Level::debug) {
    capture(message);
    our_level = log::Level::debug;
  }
  if (file == nullptr) {
    log::write(our_level, "SPDK: {}", message);
  } else {
    log::write(our_level, "SPDK: {} ({}:{})", message, file, line);
  }
}

}  // namespace

void redirect_log() {
  ::spdk_log_open(write);
  ::spdk_log_set_print_level(SPDK_LOG_NOTICE);
}

LogCapture::LogCapture(std::string& text) noexcept : outer_(std::exchange(captured, &text)) {}
LogCapture::~LogCapture() { captured = outer_; }

}  // namespace spdkio::spdk
