#include "engine_embedded/memory/memory_directory.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace spdkio::embedded {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

std::uintptr_t hugepage_of(const std::byte* memory) {
  return reinterpret_cast<std::uintptr_t>(memory) / hugepage_bytes;
}

}  // namespace

Result<MemoryEntry*> MemoryDirectory::add(std::byte* base, std::size_t size, std::size_t page_size, bool region) {
  const auto above = by_base_.upper_bound(base);
  const bool overlaps_above = above != by_base_.end() && above->second->base.load(relaxed) < base + size;
  if (overlaps_above || (above != by_base_.begin() && std::prev(above)->second->end() > base)) {
    const MemoryEntry& other = overlaps_above ? *above->second : *std::prev(above)->second;
    return std::unexpected(
        Error(std::errc::address_in_use,
              fmt::format("{} and {} bytes from there overlap {} at {} of {} bytes", fmt::ptr(base), size,
                          other.region.load(relaxed) ? "the region" : "memory that was allocated here,",
                          fmt::ptr(other.base.load(relaxed)), other.size.load(relaxed))));
  }

  // All that can fail comes before anything is noted.
  pages_.prepare(base, size);
  auto free = std::ranges::find(by_index_, nullptr);
  if (free == by_index_.end()) {
    by_index_.push_back(nullptr);
    free = std::prev(by_index_.end());
  }
  const auto index = static_cast<std::size_t>(free - by_index_.begin());
  const auto unused = std::ranges::find_if(entries_, [](const auto& entry) { return entry.size.load(relaxed) == 0; });
  MemoryEntry& entry = unused != entries_.end() ? *unused : entries_.emplace_back();
  const std::size_t frames = hugepage_of(base + size - 1) - hugepage_of(base) + 1;
  entry.frames = std::vector<std::atomic<std::uint64_t>>(page_size == hugepage_bytes ? frames : 0);
  const auto place = by_base_.emplace(base, &entry).first;
  entry.base.store(base, relaxed);
  entry.size.store(size, relaxed);
  entry.page_size.store(page_size, relaxed);
  entry.region.store(region, relaxed);
  entry.index = index;
  entry.id = version_.load(relaxed);
  Result<> mapped;
  try {
    mapped = map(entry);
  } catch (...) {
    mapped = std::unexpected(Error::from_current_exception());
  }
  if (!mapped) {
    by_base_.erase(place);
    entry.size.store(0, relaxed);
    return std::unexpected(std::move(mapped).error());
  }

  by_index_[index] = &entry;
  region_count_ += region ? 1 : 0;
  pages_.set(base, size, &entry);
  version_.fetch_add(1, std::memory_order_release);
  return &entry;
}

void MemoryDirectory::remove(MemoryEntry& entry) noexcept {
  std::byte* const base = entry.base.load(relaxed);
  pages_.set(base, entry.size.load(relaxed), nullptr);
  version_.fetch_add(1, std::memory_order_release);
  unmap(entry);
  by_base_.erase(base);
  by_index_[entry.index] = nullptr;
  region_count_ -= entry.region.load(relaxed) ? 1 : 0;
  entry.size.store(0, relaxed);
}

MemoryEntry* MemoryDirectory::region_at(const std::byte* base) const noexcept {
  const auto found = by_base_.find(base);
  return found == by_base_.end() || !found->second->region.load(relaxed) ? nullptr : found->second;
}

Result<> MemoryDirectory::map(MemoryEntry& entry) {
  if (mapper_ == nullptr) return {};
  const auto iova = mapper_->map(entry.base.load(relaxed), entry.size.load(relaxed));
  if (!iova) {
    return std::unexpected(iova.error().with_context(fmt::format(
        "mapping {} bytes at {} for devices", entry.size.load(relaxed), fmt::ptr(entry.base.load(relaxed)))));
  }
  entry.iova.store(static_cast<std::uint64_t>(*iova), relaxed);
  entry.mapped.store(true, std::memory_order_release);
  return {};
}

void MemoryDirectory::unmap(MemoryEntry& entry) noexcept {
  if (!entry.mapped.exchange(false)) return;
  mapper_->unmap(entry.base.load(relaxed), entry.size.load(relaxed), engine::Iova{entry.iova.load(relaxed)});
}

Result<> MemoryDirectory::set_mapper(engine::DmaMapper* mapper) {
  for (const auto& [base, entry] : by_base_) unmap(*entry);
  mapper_ = mapper;
  for (const auto& [base, entry] : by_base_) {
    if (auto mapped = map(*entry); !mapped) {
      for (const auto& [again, other] : by_base_) unmap(*other);
      mapper_ = nullptr;
      return mapped;
    }
  }
  return {};
}

Result<std::uint64_t> MemoryDirectory::frame_address(MemoryEntry& entry, std::uintptr_t hugepage) const {
  auto& known = entry.frames[hugepage - hugepage_of(entry.base.load(relaxed))];
  if (const std::uint64_t address = known.load(relaxed); address != 0) return address;
  auto found = system_.physical_address(reinterpret_cast<const std::byte*>(hugepage * hugepage_bytes));
  if (found) known.store(*found, relaxed);
  return found;
}

Result<engine::IovaRange> MemoryDirectory::translate(MemoryEntry& entry, const std::byte* memory,
                                                     std::size_t size) const {
  if (entry.mapped.load(std::memory_order_acquire)) {
    const auto offset = static_cast<std::size_t>(memory - entry.base.load(relaxed));
    return engine::IovaRange{.start = engine::Iova{entry.iova.load(relaxed) + offset}, .length = size};
  }
  // Ordinary pages move: the kernel compacts memory and changes page sizes even under mlock, and a device would go on
  // using the old place.
  if (entry.page_size.load(relaxed) != hugepage_bytes) {
    return std::unexpected(
        Error(std::errc::operation_not_supported, "ordinary memory has no physical address that lasts")
            .with_operation("translate")
            .with_hint("bind the device to vfio-pci with an IOMMU, or let the engine have 2 MiB hugepages"));
  }
  const std::uintptr_t hugepage = hugepage_of(memory);
  const std::size_t within = reinterpret_cast<std::uintptr_t>(memory) % hugepage_bytes;
  const auto first = frame_address(entry, hugepage);
  if (!first) return std::unexpected(first.error());
  std::size_t length = hugepage_bytes - within;
  for (std::size_t next = 1; length < size; ++next, length += hugepage_bytes) {
    const auto address = frame_address(entry, hugepage + next);
    if (!address || *address != *first + next * hugepage_bytes) break;
  }
  return engine::IovaRange{.start = engine::Iova{*first + within}, .length = std::min(length, size)};
}

std::vector<engine::MemoryChunk> MemoryDirectory::chunks() const {
  std::vector<engine::MemoryChunk> result;
  result.reserve(by_index_.size());
  for (const MemoryEntry* entry : by_index_) {
    result.push_back(entry == nullptr
                         ? engine::MemoryChunk{}
                         : engine::MemoryChunk{
                               .base = entry->base.load(relaxed), .size = entry->size.load(relaxed), .id = entry->id});
  }
  while (!result.empty() && result.back().base == nullptr) result.pop_back();
  return result;
}

}  // namespace spdkio::embedded
