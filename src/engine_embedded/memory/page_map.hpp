// From any address to a pointer that was noted for its page. Reading takes no lock and is safe for any address.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace spdkio::embedded {

/// One word per 4 KiB page, or one for 2 MiB whose pages are all alike. Tables are never freed before the map, so a
/// reader may be anywhere while others write; it sees what was noted for its page as long as that page is not changed.
/// Writers keep each other out.
class PageMap {
 public:
  /// Addresses at and beyond this are never noted: no mapping of the kernel's lies there unless it was asked for.
  static constexpr std::uintptr_t address_end = std::uintptr_t{1} << 47;

  PageMap() = default;
  PageMap(const PageMap&) = delete;
  PageMap& operator=(const PageMap&) = delete;

  void* find(const void* address) const noexcept {
    const auto number = reinterpret_cast<std::uintptr_t>(address);
    if (number >= address_end) [[unlikely]]
      return nullptr;
    const Units* units = top_[number >> top_shift].load(std::memory_order_acquire);
    if (units == nullptr) [[unlikely]]
      return nullptr;
    const std::uintptr_t unit = (*units)[(number >> unit_shift) % units_per_top].load(std::memory_order_acquire);
    if ((unit & pages_tag) == 0) return reinterpret_cast<void*>(unit);
    const Pages& pages = *reinterpret_cast<const Pages*>(unit & ~pages_tag);
    return pages[(number >> page_shift) % pages_per_unit].load(std::memory_order_acquire);
  }

  /// Makes room for `set` of these pages, so that it can't fail. Throws std::bad_alloc. `base` and `size` are multiples
  /// of the page size and end below `address_end`.
  void prepare(const void* base, std::size_t size);
  /// Notes `value` (aligned to 2) for every page; null: nothing. Only where `prepare` was called before.
  void set(const void* base, std::size_t size, void* value) noexcept;

 private:
  static constexpr unsigned page_shift = 12;
  static constexpr unsigned unit_shift = 21;
  static constexpr unsigned top_shift = 34;
  static constexpr std::size_t pages_per_unit = std::size_t{1} << (unit_shift - page_shift);
  static constexpr std::size_t units_per_top = std::size_t{1} << (top_shift - unit_shift);
  static constexpr std::uintptr_t pages_tag = 1;

  using Pages = std::array<std::atomic<void*>, pages_per_unit>;
  using Units = std::array<std::atomic<std::uintptr_t>, units_per_top>;

  void split(std::atomic<std::uintptr_t>& unit);

  std::array<std::atomic<Units*>, (address_end >> top_shift)> top_{};
  std::vector<std::unique_ptr<Units>> units_;
  std::vector<std::unique_ptr<Pages>> pages_;
  std::vector<Pages*> spare_;
};

}  // namespace spdkio::embedded
