#include "engine_embedded/memory/page_map.hpp"

#include <algorithm>

namespace spdkio::embedded {
namespace {
constexpr std::uintptr_t unit_bytes = std::uintptr_t{1} << 21;
}  // namespace

void PageMap::prepare(const void* base, std::size_t size) {
  const auto begin = reinterpret_cast<std::uintptr_t>(base);
  const std::uintptr_t end = begin + size;
  for (std::uintptr_t top = begin >> top_shift; top <= (end - 1) >> top_shift; ++top) {
    if (top_[top].load(std::memory_order_relaxed) != nullptr) continue;
    units_.push_back(std::make_unique<Units>());
    top_[top].store(units_.back().get(), std::memory_order_release);
  }
  // Only the units at the ends can be covered in part.
  for (const std::uintptr_t address : {begin, end - 1}) {
    const std::uintptr_t unit = address & ~(unit_bytes - 1);
    if (begin <= unit && unit + unit_bytes <= end) continue;
    split((*top_[unit >> top_shift].load(std::memory_order_relaxed))[(unit >> unit_shift) % units_per_top]);
  }
}

void PageMap::split(std::atomic<std::uintptr_t>& unit) {
  const std::uintptr_t whole = unit.load(std::memory_order_relaxed);
  if ((whole & pages_tag) != 0) return;
  if (spare_.empty()) {
    spare_.reserve(pages_.size() + 1);  // as many as there are tables: pushing one back can't fail
    pages_.push_back(std::make_unique<Pages>());
    spare_.push_back(pages_.back().get());
  }
  Pages* pages = spare_.back();
  spare_.pop_back();
  for (auto& page : *pages) page.store(reinterpret_cast<void*>(whole), std::memory_order_relaxed);
  unit.store(reinterpret_cast<std::uintptr_t>(pages) | pages_tag, std::memory_order_release);
}

void PageMap::set(const void* base, std::size_t size, void* value) noexcept {
  const auto begin = reinterpret_cast<std::uintptr_t>(base);
  const std::uintptr_t end = begin + size;
  std::uintptr_t at = begin;
  while (at < end) {
    Units& units = *top_[at >> top_shift].load(std::memory_order_relaxed);
    auto& unit = units[(at >> unit_shift) % units_per_top];
    const std::uintptr_t old = unit.load(std::memory_order_relaxed);
    if (at % unit_bytes == 0 && end - at >= unit_bytes) {
      unit.store(reinterpret_cast<std::uintptr_t>(value), std::memory_order_release);
      if ((old & pages_tag) != 0) spare_.push_back(reinterpret_cast<Pages*>(old & ~pages_tag));
      at += unit_bytes;
      continue;
    }
    Pages& pages = *reinterpret_cast<Pages*>(old & ~pages_tag);
    const std::uintptr_t stop = std::min(end, (at & ~(unit_bytes - 1)) + unit_bytes);
    for (; at < stop; at += std::uintptr_t{1} << page_shift) {
      pages[(at >> page_shift) % pages_per_unit].store(value, std::memory_order_release);
    }
  }
}

}  // namespace spdkio::embedded
