// Which pages of a chunk are free: first fit from lists by size, neighbours joined. Its own memory is made once, so
// that giving back can't fail.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace spdkio::embedded {

constexpr std::size_t page_bytes = 4096;

/// Not thread-safe. Pages are counted from the start of the chunk.
class PageRuns {
 public:
  /// All `count` pages (not 0) are free. `first_page_number` is the chunk's address divided by the page size: alignment
  /// goes by it. Throws std::bad_alloc.
  PageRuns(std::uint64_t first_page_number, std::uint32_t count);

  /// The first of `pages` pages in a row (not 0), whose number is a multiple of `alignment` (pages, a power of two).
  std::optional<std::uint32_t> allocate(std::uint32_t pages, std::uint64_t alignment) noexcept;
  /// Exactly what was allocated, or a part of it.
  void free(std::uint32_t first, std::uint32_t pages) noexcept;

  std::uint32_t free_pages() const noexcept { return free_pages_; }
  bool all_free() const noexcept { return free_pages_ == count_; }

 private:
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  /// For each page: of a free run, its length at the first and last page, and its neighbours in the list at the first.
  /// The length is 0 at every other page.
  struct Page {
    std::uint32_t length;
    std::uint32_t previous;
    std::uint32_t next;
  };

  void insert(std::uint32_t first, std::uint32_t pages) noexcept;
  void remove(std::uint32_t first) noexcept;
  std::optional<std::uint32_t> fit(std::uint32_t first, std::uint32_t pages, std::uint64_t alignment) const noexcept;

  struct FreePages {
    void operator()(Page* pages) const noexcept;
  };

  const std::uint64_t first_page_number_;
  const std::uint32_t count_;
  std::uint32_t free_pages_ = 0;
  std::uint32_t lists_in_use_ = 0;  // one bit per list
  std::array<std::uint32_t, 32> lists_;
  std::unique_ptr<Page[], FreePages> pages_;
};

}  // namespace spdkio::embedded
