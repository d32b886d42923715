// Shared by the tests of the memory service.
#pragma once

#include <spdkio/base/log.hpp>

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine_embedded/memory/memory_service.hpp"

namespace spdkio::embedded {

constexpr std::size_t KiB = 1024;
constexpr std::size_t MiB = 1024 * KiB;
constexpr int any_node = engine::any_numa_node;

/// Collects what is logged from its construction to its end.
class LogLines {
 public:
  LogLines() {
    log::set_sink([this](log::Level, std::string_view text) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(text);
    });
  }
  ~LogLines() { log::set_sink({}); }
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(lines_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

inline std::byte* allocate(engine::MemoryService& memory, std::size_t size, std::size_t alignment = 4096,
                           int numa_node = any_node) {
  return static_cast<std::byte*>(memory.allocate(size, alignment, numa_node));
}

}  // namespace spdkio::embedded
