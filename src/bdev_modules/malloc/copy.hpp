// Copying blocks between a RAM disk and buffers.
#pragma once

#include <array>
#include <cstddef>

namespace spdkio::bdev {

struct CopyJob {
  std::byte* to;
  const std::byte* from;
};
using CopyJobs = std::array<CopyJob, 4>;

/// Makes four copies of `bytes` each, a line of every one in turn: four places of the memory are waited for at once, so
/// that random reads of 4 KiB take a third less than one after the other. Of copies to the same place the last one
/// stays.
void copy_side_by_side(const CopyJobs& jobs, std::size_t bytes) noexcept;

/// Copies `bytes`, and while doing so asks the memory for as many bytes at `next` (null: none), which the following
/// request will want: most of the time of a random access goes into waiting for the first touch of its lines. Long
/// copies without `next` are made in four parts side by side.
void copy_and_prefetch(std::byte* to, const std::byte* from, std::size_t bytes, const std::byte* next) noexcept;

/// For the request after the following one: its first lines are enough to set the memory going, which is worth a fifth
/// of a random 4 KiB read.
void prefetch_start(const std::byte* at) noexcept;

/// Copies `bytes` to memory that nobody will look at soon: with stores that do not read its lines into the cache first,
/// which halves the traffic. Where the processor or the alignment of `to` does not allow that, an ordinary copy. Other
/// OS threads may look at it only after `finish_copies_around_cache`.
void copy_around_cache(std::byte* to, const std::byte* from, std::size_t bytes) noexcept;
void finish_copies_around_cache() noexcept;

}  // namespace spdkio::bdev
