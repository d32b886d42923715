#include "engine_embedded/memory/reserve.hpp"

#include <spdkio/base/byte_size.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include "engine/memory_poison.hpp"

namespace spdkio::embedded {
namespace {

constexpr std::size_t round_up(std::size_t size, std::size_t unit) { return (size + unit - 1) / unit * unit; }

std::string size_text(std::size_t bytes) { return format_bytes(ByteCount{bytes}); }

}  // namespace

Reserve::Reserve(SystemMemory& system, MemoryDirectory& directory, const EnvOptions& options)
    : system_(system),
      directory_(directory),
      keep_(options.mem_size),
      no_huge_(options.no_huge),
      shm_id_(options.shm_id) {
  if (!no_huge_) {
    const HugepageCount count = system_.hugepages();
    if (count.free == 0) fall_back(fmt::format("no free 2 MiB hugepages ({} of {})", count.free, count.total));
  }
  if (keep_ == 0) return;
  if (keep_ > most_run_bytes || add_chunk(round_up(keep_, hugepage_bytes), engine::any_numa_node) == nullptr) {
    throw Error(std::errc::not_enough_memory, fmt::format("no {} of memory to hold in reserve{}{}", size_text(keep_),
                                                          failure_.empty() ? "" : ": ", failure_))
        .with_operation("Env")
        .with_hint(
            "ask for less (mem_size), or allow the process more memory (ulimit -v, the memory limit of its group)");
  }
  empty_bytes_ = bytes_;
}

Reserve::~Reserve() {
  for (auto& chunk : chunks_) {
    engine::unpoison(chunk->base, chunk->size);
    directory_.remove(*chunk->entry);
    system_.unmap(chunk->base, chunk->size);
  }
}

Reserve::Run Reserve::carve(Chunk& chunk, std::uint32_t pages, std::size_t alignment) noexcept {
  const auto first = chunk.runs.allocate(pages, std::max<std::size_t>(alignment / page_bytes, 1));
  if (!first) return {};
  return {.chunk = &chunk, .base = chunk.base + std::size_t{*first} * page_bytes};
}

Reserve::Run Reserve::allocate(std::uint32_t pages, std::size_t alignment, int numa_node) {
  for (const auto& chunk : chunks_) {
    if (numa_node != engine::any_numa_node && chunk->numa_node != numa_node) continue;
    const bool was_empty = chunk->runs.all_free();
    const Run run = carve(*chunk, pages, alignment);
    if (run.chunk == nullptr) continue;
    if (was_empty) empty_bytes_ -= chunk->size;
    return run;
  }
  const std::size_t size = std::size_t{pages} * page_bytes;
  if (size > most_run_bytes || alignment > most_run_bytes) return {};
  // Chunks begin at a multiple of 2 MiB.
  const std::size_t slack = alignment > hugepage_bytes ? alignment - hugepage_bytes : 0;
  Chunk* chunk = grow(round_up(size + slack, hugepage_bytes), numa_node);
  return chunk == nullptr ? Run{} : carve(*chunk, pages, alignment);
}

void Reserve::free(Chunk& chunk, std::byte* base, std::uint32_t pages) noexcept {
  chunk.runs.free(static_cast<std::uint32_t>(static_cast<std::size_t>(base - chunk.base) / page_bytes), pages);
  if (!chunk.runs.all_free()) return;
  empty_bytes_ += chunk.size;
  const std::size_t others = bytes_ - chunk.size;
  if (others >= keep_ && empty_bytes_ > spare_) release(chunk);
}

void Reserve::wind_down() noexcept {
  keep_ = 0;
  spare_ = 0;
  for (std::size_t i = chunks_.size(); i-- > 0;) {
    if (chunks_[i]->runs.all_free()) release(*chunks_[i]);
  }
}

Chunk* Reserve::grow(std::size_t needed, int numa_node) {
  const std::size_t wanted = std::clamp(round_up(bytes_ / 8, hugepage_bytes), std::max(needed, hugepage_bytes),
                                        std::max(needed, largest_growth));
  Chunk* chunk = add_chunk(wanted, numa_node);
  if (chunk == nullptr && wanted > needed) chunk = add_chunk(needed, numa_node);
  return chunk;
}

Chunk* Reserve::add_chunk(std::size_t size, int numa_node) {
  bool huge = !no_huge_;
  Result<std::byte*> memory = std::unexpected(Error(std::errc::not_enough_memory));
  if (huge) memory = map(size, true, numa_node);
  if (!memory) {
    if (huge && reason_.empty()) {
      const HugepageCount count = system_.hugepages();
      const std::size_t needed = size / hugepage_bytes;
      fall_back(count.free < needed
                    ? fmt::format("{} of the 2 MiB hugepages wanted, {} of {} free", needed, count.free, count.total)
                    : fmt::format("2 MiB hugepages can't be had ({})", memory.error().what()));
    }
    huge = false;
    memory = map(size, false, numa_node);
  }
  if (!memory) {
    failure_ = memory.error().what();
    return nullptr;
  }

  std::byte* const base = *memory;
  try {
    chunks_.reserve(chunks_.size() + 1);
    auto chunk = std::make_unique<Chunk>(Chunk{.base = base,
                                               .size = size,
                                               .huge = huge,
                                               .numa_node = numa_node,
                                               .runs = PageRuns(reinterpret_cast<std::uintptr_t>(base) / page_bytes,
                                                                static_cast<std::uint32_t>(size / page_bytes)),
                                               .entry = nullptr});
    auto entry = directory_.add(base, size, huge ? hugepage_bytes : page_bytes, false);
    if (!entry) {
      failure_ = entry.error().what();
      system_.unmap(base, size);
      return nullptr;
    }
    chunk->entry = *entry;
    chunks_.push_back(std::move(chunk));
  } catch (...) {
    system_.unmap(base, size);
    throw;
  }
  engine::poison(base, size);
  bytes_ += size;
  if (huge) huge_bytes_ += size;
  return chunks_.back().get();
}

Result<std::byte*> Reserve::map(std::size_t size, bool huge, int numa_node) {
  return system_.map({.size = size, .huge = huge, .numa_node = numa_node, .shm_id = shm_id_});
}

void Reserve::fall_back(std::string reason) {
  reason_ = std::move(reason);
  notice_ = reason_ + "; using ordinary memory";
}

void Reserve::release(Chunk& chunk) noexcept {
  const auto place = std::ranges::find_if(chunks_, [&](const auto& known) { return known.get() == &chunk; });
  bytes_ -= chunk.size;
  empty_bytes_ -= chunk.size;
  if (chunk.huge) huge_bytes_ -= chunk.size;
  directory_.remove(*chunk.entry);
  engine::unpoison(chunk.base, chunk.size);
  system_.unmap(chunk.base, chunk.size);
  chunks_.erase(place);
}

std::string Reserve::description() const {
  std::string text;
  if (no_huge_) {
    text = "ordinary memory, as asked for with no_huge";
  } else if (reason_.empty()) {
    text = "2 MiB hugepages";
  } else if (huge_bytes_ == 0) {
    text = "ordinary memory: " + reason_;
  } else {
    text = fmt::format("{} of hugepages and {} of ordinary memory: {}", size_text(huge_bytes_),
                       size_text(bytes_ - huge_bytes_), reason_);
  }
  if (!failure_.empty()) text += "; the last growth failed: " + failure_;
  return text;
}

}  // namespace spdkio::embedded
