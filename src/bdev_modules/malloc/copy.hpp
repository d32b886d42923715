// Copying blocks between a RAM disk and buffers.
#pragma once

#include <cstddef>

namespace spdkio::bdev {

/// Copies `bytes`, and while doing so asks the memory for as many bytes at `next` (null: none), which the following
/// request will want: most of the time of a random access goes into waiting for the first touch of its lines.
void copy_and_prefetch(std::byte* to, const std::byte* from, std::size_t bytes, const std::byte* next) noexcept;

}  // namespace spdkio::bdev
