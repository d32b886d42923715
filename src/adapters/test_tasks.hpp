// What the tests of the adapters run.
#pragma once

#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/task.hpp>

#include <chrono>

namespace spdkio::adapters_test {

inline Task<int> answer(int value) {
  co_await sleep_for(std::chrono::microseconds{100});
  co_return value;
}
inline Task<> nap(std::chrono::nanoseconds duration) { co_await sleep_for(duration); }

}  // namespace spdkio::adapters_test
