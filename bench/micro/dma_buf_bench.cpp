// What a DMA buffer costs: from the embedded engine's memory, and from a pool.
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/engine/dma_pool.hpp>
#include <spdkio/engine/engine.hpp>

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <mutex>
#include <vector>

#include "engine_embedded/memory/memory_service.hpp"

namespace spdkio {
namespace {

/// As much of an engine as a buffer needs.
class MemoryOnly final : public engine::Engine {
 public:
  MemoryOnly() : memory_(embedded::make_memory_service({})) { install(this); }
  ~MemoryOnly() override { install(nullptr); }
  std::string_view name() const noexcept override { return "memory"; }
  std::string version() const override { return {}; }
  const engine::Capabilities& capabilities() const noexcept override { return capabilities_; }
  engine::MemoryService& memory() noexcept override { return *memory_; }
  engine::ReactorService& reactors() noexcept override { std::abort(); }
  bdev::Service& bdevs() noexcept override { std::abort(); }

 private:
  engine::Capabilities capabilities_;
  embedded::MemoryHandle memory_;
};

/// Made before the first benchmark and gone after the last.
engine::MemoryService& memory() {
  static MemoryOnly engine;
  return engine.memory();
}

void allocate_and_free(benchmark::State& state) {
  auto& service = memory();
  const auto size = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    void* block = service.allocate(size, 4096, engine::any_numa_node);
    benchmark::DoNotOptimize(block);
    service.free(block, size);
  }
}
BENCHMARK(allocate_and_free)->Arg(512)->Arg(4096)->Arg(128 << 10)->Arg(1 << 20)->Arg(4 << 20)->ThreadRange(1, 2);

void allocate_many_and_free(benchmark::State& state) {
  auto& service = memory();
  const auto depth = static_cast<std::size_t>(state.range(0));
  std::vector<void*> blocks(depth);
  for (auto _ : state) {
    for (auto& block : blocks) block = service.allocate(4096, 4096, engine::any_numa_node);
    for (void* block : blocks) service.free(block, 4096);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * depth));
}
BENCHMARK(allocate_many_and_free)->Arg(32)->Arg(128)->Arg(1024);

void aligned_alloc_and_free(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    void* block = std::aligned_alloc(4096, size);
    benchmark::DoNotOptimize(block);
    std::free(block);
  }
}
BENCHMARK(aligned_alloc_and_free)->Arg(4096)->Arg(128 << 10);

void dma_buf(benchmark::State& state) {
  memory();
  const DmaBufOptions options{.zeroed = state.range(0) != 0};
  for (auto _ : state) {
    DmaBuf buf{4096, options};
    benchmark::DoNotOptimize(buf.data());
  }
}
BENCHMARK(dma_buf)->ArgName("zeroed")->Arg(0)->Arg(1);

void pool_take_and_give(benchmark::State& state) {
  memory();
  static DmaPool pool{{.count = 256}};
  for (auto _ : state) {
    PooledBuf buf = pool.try_take();
    benchmark::DoNotOptimize(buf.data());
  }
}
BENCHMARK(pool_take_and_give)->ThreadRange(1, 2);

void pool_take_many_and_give(benchmark::State& state) {
  memory();
  const auto depth = static_cast<std::size_t>(state.range(0));
  DmaPool pool{{.count = 256}};
  std::vector<PooledBuf> bufs(depth);
  for (auto _ : state) {
    for (auto& buf : bufs) buf = pool.try_take();
    for (auto& buf : bufs) buf.reset();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * depth));
}
BENCHMARK(pool_take_many_and_give)->Arg(32)->Arg(128);

void translate(benchmark::State& state) {
  auto& service = memory();
  void* block = service.allocate(4096, 4096, engine::any_numa_node);
  for (auto _ : state) benchmark::DoNotOptimize(service.translate(block, 4096).has_value());
  service.free(block, 4096);
  state.SetLabel(service.info().description);
}
BENCHMARK(translate);

}  // namespace
}  // namespace spdkio

BENCHMARK_MAIN();
