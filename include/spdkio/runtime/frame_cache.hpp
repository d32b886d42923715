// Where coroutine frames come from: free lists per OS thread, so that a warm program starts tasks without the heap.
#pragma once

#include <cstddef>

namespace spdkio::detail {

/// Memory for a coroutine frame of `bytes`; throws std::bad_alloc. Any OS thread.
void* allocate_frame(std::size_t bytes);
/// Gives a frame back to the calling OS thread's cache, whichever thread it came from.
void free_frame(void* frame, std::size_t bytes) noexcept;
/// False under AddressSanitizer, where every frame comes from the heap so that a use after its end is seen.
bool frame_cache_active() noexcept;
/// Returns the calling OS thread's cached frames to the heap; for leak checks and threads that go quiet for good.
void trim_frame_cache() noexcept;

}  // namespace spdkio::detail
