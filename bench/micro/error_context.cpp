// What an ErrorContext costs while nothing fails, and what an Error costs with and without one.
#include <spdkio/base/error.hpp>
#include <spdkio/base/error_context.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/task.hpp>

#include <benchmark/benchmark.h>

#include <cerrno>
#include <cstdint>
#include <string>

namespace {

using namespace spdkio;

[[gnu::noinline]] std::uint64_t plain(std::uint64_t value) {
  benchmark::DoNotOptimize(value);
  return value + 1;
}

[[gnu::noinline]] std::uint64_t in_context(std::uint64_t value, const std::string& name) {
  const ErrorContext doing("reading block {} of {}", value, name);
  benchmark::DoNotOptimize(value);
  return value + 1;
}

void function(benchmark::State& state) {
  std::uint64_t value = 0;
  for (auto _ : state) value = plain(value);
}
BENCHMARK(function);

void function_in_context(benchmark::State& state) {
  const std::string name = "Malloc0";
  std::uint64_t value = 0;
  for (auto _ : state) value = in_context(value, name);
}
BENCHMARK(function_in_context);

Task<> turns(std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) co_await yield();
}

Task<> turns_in_context(std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const ErrorContext doing("turn {}", i);
    co_await yield();
  }
}

constexpr std::uint64_t turns_per_round = 10'000;

void task(benchmark::State& state) {
  for (auto _ : state) block_on(turns(turns_per_round));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * turns_per_round));
}
BENCHMARK(task);

void task_in_context(benchmark::State& state) {
  for (auto _ : state) block_on(turns_in_context(turns_per_round));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * turns_per_round));
}
BENCHMARK(task_in_context);

void error(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Error::from_errno(EIO));
}
BENCHMARK(error);

void error_in_context(benchmark::State& state) {
  const ErrorContext doing("reading block {}", 7);
  for (auto _ : state) benchmark::DoNotOptimize(Error::from_errno(EIO));
}
BENCHMARK(error_in_context);

}  // namespace

BENCHMARK_MAIN();
