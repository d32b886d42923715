// For a test program that counts what the heap gives out: replaces the global operator new. Included by one source file
// of the program.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace spdkio::runtime_test {
/// What the current OS thread has asked for, in calls.
inline constinit thread_local std::size_t allocations = 0;
}  // namespace spdkio::runtime_test

// The sized and array forms of the standard library come here too.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++spdkio::runtime_test::allocations;
  if (void* const memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
