// Tells AddressSanitizer which parts of memory that we hand out ourselves are in use. Without it these do nothing.
#pragma once

#include <sanitizer/asan_interface.h>

#include <cstddef>

namespace spdkio::engine {

inline void poison([[maybe_unused]] const void* memory, [[maybe_unused]] std::size_t size) noexcept {
  ASAN_POISON_MEMORY_REGION(memory, size);
}
inline void unpoison([[maybe_unused]] const void* memory, [[maybe_unused]] std::size_t size) noexcept {
  ASAN_UNPOISON_MEMORY_REGION(memory, size);
}

}  // namespace spdkio::engine
