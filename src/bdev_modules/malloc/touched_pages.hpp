// TouchedPages: which pages of a RAM disk a Thread has read or written lately, and so are likely in its caches.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace spdkio::bdev {

/// A direct-mapped table of page numbers; covers as much memory as a core may call its share of the last-level cache.
class TouchedPages {
 public:
  static constexpr std::uint64_t page_size = 4096;

  /// Whether the page at `offset` was touched before, as far as is remembered; from now on it was.
  bool touch(std::uint64_t offset) noexcept {
    // One more, so that a fresh table knows no page.
    const auto page = static_cast<std::uint32_t>(offset / page_size + 1);
    std::uint32_t& known = pages_[page % pages_.size()];
    if (known == page) return true;
    known = page;
    return false;
  }

 private:
  std::array<std::uint32_t, 4096> pages_{};
};

}  // namespace spdkio::bdev
