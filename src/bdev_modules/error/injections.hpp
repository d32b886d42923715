// The rules of an error device.
#pragma once

#include <spdkio/bdev_modules/error.hpp>

#include <atomic>
#include <mutex>
#include <optional>
#include <vector>

namespace spdkio::bdev {

/// Any Thread; costs one relaxed load while there are no rules.
class Injections {
 public:
  void add(const ErrorInjection& injection);
  void clear();
  /// The rule for this request, its count taken down; nothing when none matches.
  std::optional<ErrorInjection> match(const Io& io, std::uint64_t in_flight) {
    if (!any_.load(std::memory_order_relaxed)) return std::nullopt;
    return match_slowly(io, in_flight);
  }

 private:
  std::optional<ErrorInjection> match_slowly(const Io& io, std::uint64_t in_flight);
  std::atomic<bool> any_{false};
  std::mutex mutex_;
  std::vector<ErrorInjection> rules_;
};

}  // namespace spdkio::bdev
