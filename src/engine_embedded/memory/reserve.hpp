// The memory that is held from the system: chunks of hugepages or ordinary memory, handed out as runs of pages.
#pragma once

#include <spdkio/engine/options.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine_embedded/memory/memory_directory.hpp"
#include "engine_embedded/memory/page_runs.hpp"
#include "engine_embedded/memory/system_memory.hpp"

namespace spdkio::embedded {

/// More than any machine has; keeps sums of sizes far from wrapping.
constexpr std::size_t most_run_bytes = std::size_t{1} << 43;

struct Chunk {
  std::byte* base;
  std::size_t size;
  bool huge;
  int numa_node;  ///< any_numa_node: wherever the system put it
  PageRuns runs;
  MemoryEntry* entry;
};

/// Not thread-safe. Grows by chunks, each an eighth of what is there; gives empty ones back, but keeps `mem_size` and a
/// little over, so that taking and giving back the same large buffer does not go to the system each time.
class Reserve {
 public:
  /// Takes `options.mem_size` bytes at once. Throws Error(not_enough_memory).
  Reserve(SystemMemory& system, MemoryDirectory& directory, const EnvOptions& options);
  Reserve(const Reserve&) = delete;
  Reserve& operator=(const Reserve&) = delete;
  ~Reserve();

  struct Run {
    Chunk* chunk = nullptr;
    std::byte* base = nullptr;
  };
  /// `pages` (not 0) in a row, at a multiple of `alignment` bytes (a power of two). No chunk: there is no more. Throws
  /// std::bad_alloc.
  Run allocate(std::uint32_t pages, std::size_t alignment, int numa_node);
  void free(Chunk& chunk, std::byte* base, std::uint32_t pages) noexcept;

  /// Gives back what is empty, now and from now on.
  void wind_down() noexcept;

  std::size_t bytes() const noexcept { return bytes_; }
  /// Hugepages are what it is made of, or will be.
  bool huge() const noexcept { return bytes_ == 0 ? !no_huge_ && reason_.empty() : huge_bytes_ == bytes_; }
  /// For people.
  std::string description() const;
  /// A line for the log that came up and was not fetched yet; empty: none. Logging is left to the caller, who holds a
  /// lock now that a log sink might want.
  std::string take_notice() noexcept { return std::exchange(notice_, {}); }

 private:
  static constexpr std::size_t largest_growth = std::size_t{1} << 30;

  static Run carve(Chunk& chunk, std::uint32_t pages, std::size_t alignment) noexcept;
  Chunk* grow(std::size_t needed, int numa_node);
  Chunk* add_chunk(std::size_t size, int numa_node);
  Result<std::byte*> map(std::size_t size, bool huge, int numa_node);
  void fall_back(std::string reason);
  void release(Chunk& chunk) noexcept;

  SystemMemory& system_;
  MemoryDirectory& directory_;
  std::size_t keep_;
  std::size_t spare_ = std::size_t{32} << 20;
  const bool no_huge_;
  const int shm_id_;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::size_t bytes_ = 0;
  std::size_t huge_bytes_ = 0;
  std::size_t empty_bytes_ = 0;  // in chunks of which nothing is handed out
  std::string reason_;           // why there are no hugepages
  std::string failure_;          // what the system said last
  std::string notice_;
};

}  // namespace spdkio::embedded
