#include "engine_embedded/memory/page_runs.hpp"

#include <bit>
#include <cstdlib>
#include <new>

namespace spdkio::embedded {
namespace {

/// Runs of 2^n .. 2^(n+1)-1 pages are in list n.
unsigned list_of(std::uint32_t pages) { return static_cast<unsigned>(std::bit_width(pages)) - 1; }

}  // namespace

void PageRuns::FreePages::operator()(Page* pages) const noexcept { std::free(pages); }

// calloc, because it leaves the entries of a large chunk untouched until they are needed.
PageRuns::PageRuns(std::uint64_t first_page_number, std::uint32_t count)
    : first_page_number_(first_page_number),
      count_(count),
      pages_(static_cast<Page*>(std::calloc(count, sizeof(Page)))) {
  if (pages_ == nullptr) throw std::bad_alloc();
  lists_.fill(none);
  insert(0, count);
  free_pages_ = count;
}

std::optional<std::uint32_t> PageRuns::allocate(std::uint32_t pages, std::uint64_t alignment) noexcept {
  std::uint32_t lists = lists_in_use_ & ~((std::uint32_t{1} << list_of(pages)) - 1);
  for (; lists != 0; lists &= lists - 1) {
    for (std::uint32_t first = lists_[std::countr_zero(lists)]; first != none; first = pages_[first].next) {
      const auto start = fit(first, pages, alignment);
      if (!start) continue;
      const std::uint32_t end = first + pages_[first].length;
      remove(first);
      if (*start != first) insert(first, *start - first);
      if (*start + pages != end) insert(*start + pages, end - *start - pages);
      free_pages_ -= pages;
      return start;
    }
  }
  return std::nullopt;
}

std::optional<std::uint32_t> PageRuns::fit(std::uint32_t first, std::uint32_t pages,
                                           std::uint64_t alignment) const noexcept {
  const std::uint64_t number = first_page_number_ + first;
  const std::uint64_t skip = ((number + alignment - 1) & ~(alignment - 1)) - number;
  const std::uint32_t length = pages_[first].length;
  if (length < pages || skip > length - pages) return std::nullopt;
  return first + static_cast<std::uint32_t>(skip);
}

void PageRuns::free(std::uint32_t first, std::uint32_t pages) noexcept {
  free_pages_ += pages;
  if (first != 0 && pages_[first - 1].length != 0) {
    const std::uint32_t before = pages_[first - 1].length;
    first -= before;
    pages += before;
    remove(first);
  }
  if (const std::uint32_t end = first + pages; end != count_ && pages_[end].length != 0) {
    pages += pages_[end].length;
    remove(end);
  }
  insert(first, pages);
}

void PageRuns::insert(std::uint32_t first, std::uint32_t pages) noexcept {
  const unsigned list = list_of(pages);
  pages_[first].previous = none;
  pages_[first].next = lists_[list];
  if (lists_[list] != none) pages_[lists_[list]].previous = first;
  lists_[list] = first;
  lists_in_use_ |= std::uint32_t{1} << list;
  pages_[first].length = pages;
  pages_[first + pages - 1].length = pages;
}

void PageRuns::remove(std::uint32_t first) noexcept {
  const Page page = pages_[first];
  if (page.previous != none) {
    pages_[page.previous].next = page.next;
  } else {
    const unsigned list = list_of(page.length);
    lists_[list] = page.next;
    if (page.next == none) lists_in_use_ &= ~(std::uint32_t{1} << list);
  }
  if (page.next != none) pages_[page.next].previous = page.previous;
  pages_[first].length = 0;
  pages_[first + page.length - 1].length = 0;
}

}  // namespace spdkio::embedded
