#include "engine_spdk/spdk_log.hpp"

#include <spdkio/base/log.hpp>

#include <spdk/log.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <string_view>

namespace spdkio::spdk {
namespace {

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
  if (file == nullptr) {
    log::write(level_of(level), "SPDK: {}", message);
  } else {
    log::write(level_of(level), "SPDK: {} ({}:{})", message, file, line);
  }
}

}  // namespace

void redirect_log() {
  ::spdk_log_open(write);
  ::spdk_log_set_print_level(SPDK_LOG_NOTICE);
}

}  // namespace spdkio::spdk
