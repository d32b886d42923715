#include "engine_embedded/memory/memory_service.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "engine/memory_poison.hpp"
#include "engine_embedded/memory/fake_system.hpp"
#include "engine_embedded/memory/memory_test_util.hpp"

namespace spdkio::embedded {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class MemoryServiceTest : public testing::Test {
 protected:
  ~MemoryServiceTest() override { EXPECT_EQ(system_.chunks(), 0u) << "memory was not given back to the system"; }
  MemoryHandle make(const EnvOptions& options = {.no_huge = true}) { return make_memory_service(options, system_); }
  FakeSystem system_;
};

TEST_F(MemoryServiceTest, SizesAndAlignments) {
  const auto memory = make();
  struct Item {
    std::byte* begin;
    std::size_t size;
  };
  std::vector<Item> items;
  for (const std::size_t size : {std::size_t{1}, std::size_t{63}, std::size_t{512}, 4 * KiB, 5000ul, 64 * KiB, 1 * MiB,
                                 1 * MiB + 1, 3 * MiB, 17 * MiB}) {
    for (std::size_t alignment = 1; alignment <= 16 * MiB; alignment *= 8) {
      std::byte* begin = allocate(*memory, size, alignment);
      ASSERT_NE(begin, nullptr) << size << " at " << alignment;
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(begin) % alignment, 0u) << size << " at " << alignment;
      std::memset(begin, static_cast<int>(items.size()), size);
      items.push_back({begin, size});
    }
  }
  EXPECT_EQ(memory->info().allocations, items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto mark = static_cast<std::byte>(i);
    EXPECT_EQ(items[i].begin[0], mark) << "overlap";
    EXPECT_EQ(items[i].begin[items[i].size - 1], mark) << "overlap";
    memory->free(items[i].begin, items[i].size);
  }
  EXPECT_EQ(memory->info().allocations, 0u);
  EXPECT_EQ(memory->info().allocated, 0u);
}

TEST_F(MemoryServiceTest, WhatCanNeverBeRightIsNull) {
  const auto memory = make();
  EXPECT_EQ(allocate(*memory, 0), nullptr);
  EXPECT_EQ(allocate(*memory, 4096, 0), nullptr);
  EXPECT_EQ(allocate(*memory, 4096, 24), nullptr);
  EXPECT_EQ(allocate(*memory, ~std::size_t{0}), nullptr);
  EXPECT_EQ(allocate(*memory, ~std::size_t{0} / 2, std::size_t{1} << 63), nullptr);
  EXPECT_EQ(allocate(*memory, 1, std::size_t{1} << 63), nullptr);
  memory->free(nullptr, 0);
}

TEST_F(MemoryServiceTest, TheSameBlockComesBackWarm) {
  const auto memory = make();
  std::byte* first = allocate(*memory, 4096);
  memory->free(first, 4096);
  for (int i = 0; i < 100; ++i) {
    std::byte* again = allocate(*memory, 4096);
    EXPECT_EQ(again, first);
    memory->free(again, 4096);
  }
  EXPECT_EQ(system_.chunks(), 1u);
}

TEST_F(MemoryServiceTest, WrongFreesAreSaidAndLeftAlone) {
  const auto memory = make();
  LogLines log;
  std::byte* block = allocate(*memory, 4096);
  std::byte* run = allocate(*memory, 3 * MiB);

  memory->free(block + 64, 4096);
  EXPECT_THAT(log.take(), ElementsAre(HasSubstr("inside of the buffer")));
  memory->free(run + 4096, 4096);
  EXPECT_THAT(log.take(), ElementsAre(HasSubstr("inside of the buffer")));
  memory->free(&log, 8);
  EXPECT_THAT(log.take(), ElementsAre(HasSubstr("no memory of this engine")));
  memory->free(reinterpret_cast<void*>(~std::uintptr_t{0}), 8);
  EXPECT_THAT(log.take(), ElementsAre(HasSubstr("no memory of this engine")));
  EXPECT_EQ(memory->info().allocations, 2u);

  memory->free(block, 4096);
  EXPECT_THAT(log.take(), IsEmpty());
  memory->free(block, 4096);
  EXPECT_THAT(log.take(), ElementsAre(HasSubstr("freed twice")));
  memory->free(run, 3 * MiB);
  memory->free(run, 3 * MiB);
  EXPECT_THAT(log.take(), ElementsAre(HasSubstr("freed before")));
  EXPECT_EQ(memory->info().allocations, 0u);

  // Had the second free counted, this would give one block out twice.
  std::byte* a = allocate(*memory, 4096);
  std::byte* b = allocate(*memory, 4096);
  EXPECT_NE(a, b);
  memory->free(a, 8192);
  EXPECT_THAT(log.take(), ElementsAre(HasSubstr("has only 4096")));
  memory->free(b, 4096);
}

// The same buffer freed by several threads at once: one of them is right.
TEST_F(MemoryServiceTest, DoubleFreeAcrossThreads) {
  const auto memory = make();
  LogLines log;
  for (int round = 0; round < 50; ++round) {
    std::byte* block = allocate(*memory, 4096);
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) threads.emplace_back([&] { memory->free(block, 4096); });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(log.take().size(), 2u);
    EXPECT_EQ(memory->info().allocations, 0u);
  }
}

TEST_F(MemoryServiceTest, FallBackIsOneLine) {
  LogLines log;
  {
    const auto memory = make(EnvOptions{.mem_size = 4 * MiB});
    EXPECT_THAT(log.take(), ElementsAre("no free 2 MiB hugepages (0 of 0); using ordinary memory"));
    for (int i = 0; i < 10; ++i) {
      std::byte* more = allocate(*memory, 8 * MiB);
      ASSERT_NE(more, nullptr);
      memory->free(more, 8 * MiB);
    }
    const auto info = memory->info();
    EXPECT_FALSE(info.hugepages);
    EXPECT_EQ(info.page_size, 4096u);
    EXPECT_THAT(info.description, HasSubstr("no free 2 MiB hugepages (0 of 0)"));
  }
  EXPECT_THAT(log.take(), IsEmpty());
  {
    const auto memory = make(EnvOptions{.mem_size = 4 * MiB, .no_huge = true});
    EXPECT_THAT(memory->info().description, HasSubstr("no_huge"));
  }
  EXPECT_THAT(log.take(), IsEmpty()) << "what was asked for is no news";
}

TEST_F(MemoryServiceTest, HugepagesAreUsedWhileThereAreSome) {
  system_.hugepages_total = 4;
  LogLines log;
  {
    const auto memory = make(EnvOptions{.mem_size = 6 * MiB});
    EXPECT_EQ(system_.hugepages_used, 3u);
    EXPECT_EQ(system_.mapped, 0u);
    EXPECT_TRUE(memory->info().hugepages);
    EXPECT_EQ(memory->info().page_size, 2 * MiB);
    EXPECT_THAT(log.take(), IsEmpty());

    std::byte* all = allocate(*memory, 6 * MiB);
    std::byte* last = allocate(*memory, 2 * MiB);
    EXPECT_EQ(system_.hugepages_used, 4u);
    EXPECT_THAT(log.take(), IsEmpty());
    std::byte* beyond = allocate(*memory, 2 * MiB);
    ASSERT_NE(beyond, nullptr);
    EXPECT_EQ(system_.mapped, 2 * MiB);
    EXPECT_THAT(log.take(), ElementsAre(HasSubstr("0 of 4 free; using ordinary memory")));
    EXPECT_FALSE(memory->info().hugepages);
    EXPECT_THAT(memory->info().description, HasSubstr("8 MiB of hugepages and 2 MiB of ordinary memory"));
    std::byte* again = allocate(*memory, 2 * MiB);
    EXPECT_THAT(log.take(), IsEmpty()) << "one line is enough";
    for (std::byte* begin : {last, beyond, again}) memory->free(begin, 2 * MiB);
    memory->free(all, 6 * MiB);
  }
  EXPECT_EQ(system_.hugepages_used, 0u);
}

TEST_F(MemoryServiceTest, TooFewHugepagesForTheReserve) {
  system_.hugepages_total = 2;
  LogLines log;
  const auto memory = make(EnvOptions{.mem_size = 100 * MiB});
  EXPECT_THAT(log.take(), ElementsAre("50 of the 2 MiB hugepages wanted, 2 of 2 free; using ordinary memory"));
  EXPECT_GE(memory->info().reserved, 100 * MiB);
}

TEST_F(MemoryServiceTest, NoMemoryForTheReserveIsAnError) {
  system_.memory_limit = 10 * MiB;
  try {
    const auto memory = make(EnvOptions{.mem_size = 100 * MiB, .no_huge = true});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), std::errc::not_enough_memory);
    EXPECT_THAT(error.what(), HasSubstr("100 MiB"));
    EXPECT_FALSE(error.hint().empty());
  }
  EXPECT_THROW(make(EnvOptions{.mem_size = ~std::size_t{0}, .no_huge = true}), Error);
}

TEST_F(MemoryServiceTest, ExhaustionIsNullAndFreeingHelps) {
  system_.memory_limit = 8 * MiB;
  const auto memory = make();
  std::vector<std::byte*> all;
  while (std::byte* begin = allocate(*memory, 64 * KiB)) all.push_back(begin);
  EXPECT_EQ(all.size(), 128u) << "every byte can be had";
  EXPECT_EQ(allocate(*memory, 64), nullptr);
  EXPECT_EQ(allocate(*memory, 2 * MiB), nullptr);
  EXPECT_THAT(memory->info().description, HasSubstr("refused by the test"));
  memory->free(all.back(), 64 * KiB);
  EXPECT_EQ(allocate(*memory, 64 * KiB), all.back());
  // Blocks in the cache and in slabs are made one again when something larger needs the room.
  for (std::byte* begin : all) memory->free(begin, 64 * KiB);
  for (std::size_t i = 0; i < 4; ++i) {
    all[i] = allocate(*memory, 2 * MiB);
    EXPECT_NE(all[i], nullptr) << i;
  }
  for (std::size_t i = 0; i < 4; ++i) memory->free(all[i], 2 * MiB);
}

// What idle threads keep in their caches is not lost for the one that needs it.
TEST_F(MemoryServiceTest, ExhaustionTakesFromOtherThreadsCaches) {
  system_.memory_limit = 2 * MiB;
  const auto memory = make();
  std::mutex mutex;
  std::condition_variable changed;
  int phase = 0;
  std::thread idle([&] {
    std::vector<std::byte*> all;
    for (int i = 0; i < 500; ++i) all.push_back(allocate(*memory, 4096));
    for (std::byte* begin : all) memory->free(begin, 4096);
    std::unique_lock lock(mutex);
    phase = 1;
    changed.notify_all();
    changed.wait(lock, [&] { return phase == 2; });
  });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return phase == 1; });
  }
  std::vector<std::byte*> all;
  while (std::byte* begin = allocate(*memory, 4096)) all.push_back(begin);
  EXPECT_EQ(all.size(), 512u);
  {
    const std::lock_guard lock(mutex);
    phase = 2;
    changed.notify_all();
  }
  idle.join();
  for (std::byte* begin : all) memory->free(begin, 4096);
}

TEST_F(MemoryServiceTest, LargeMemoryGoesBackToTheSystem) {
  const auto memory = make(EnvOptions{.mem_size = 16 * MiB, .no_huge = true});
  EXPECT_EQ(system_.mapped, 16 * MiB);
  std::byte* large = allocate(*memory, 256 * MiB);
  EXPECT_EQ(system_.mapped, 272 * MiB);
  const auto before = memory->chunks_version();
  memory->free(large, 256 * MiB);
  EXPECT_EQ(system_.mapped, 16 * MiB) << "the reserve stays";
  EXPECT_NE(memory->chunks_version(), before);
  EXPECT_EQ(memory->info().reserved, 16 * MiB);
}

TEST_F(MemoryServiceTest, AlternatingUseDoesNotGoToTheSystem) {
  const auto memory = make();
  std::byte* small = allocate(*memory, 4096);
  for (int i = 0; i < 20; ++i) {
    std::byte* large = allocate(*memory, 20 * MiB);
    memory->free(large, 20 * MiB);
  }
  EXPECT_LE(system_.requests.size(), 3u);
  memory->free(small, 4096);
}

TEST_F(MemoryServiceTest, NumaNodes) {
  system_.nodes = 2;
  LogLines log;
  const auto memory = make();
  std::vector<std::byte*> blocks;
  for (const int node : {0, 1, 0, 1}) {
    blocks.push_back(allocate(*memory, 4096, 4096, node));
    blocks.push_back(allocate(*memory, 2 * MiB, 4096, node));
  }
  EXPECT_THAT(blocks, testing::Each(testing::Ne(nullptr)));
  std::map<int, int> asked;
  for (const auto& request : system_.requests) ++asked[request.numa_node];
  EXPECT_GE(asked[0], 1);
  EXPECT_GE(asked[1], 1);
  EXPECT_EQ(asked.count(any_node), 0u);

  EXPECT_EQ(allocate(*memory, 4096, 4096, 2), nullptr);
  EXPECT_EQ(allocate(*memory, 4096, 4096, -7), nullptr);
  EXPECT_THAT(log.take(), ElementsAre(HasSubstr("NUMA node 2")));
  for (std::size_t i = 0; i < blocks.size(); ++i) memory->free(blocks[i], i % 2 == 0 ? 4096 : 2 * MiB);
  EXPECT_EQ(memory->info().allocations, 0u);
}

TEST_F(MemoryServiceTest, OneNodeNeedsNoBinding) {
  const auto memory = make();
  memory->free(allocate(*memory, 4096, 4096, 0), 4096);
  EXPECT_EQ(system_.requests.at(0).numa_node, any_node);
  EXPECT_EQ(allocate(*memory, 4096, 4096, 1), nullptr);
}

TEST_F(MemoryServiceTest, OptionsReachTheSystem) {
  const auto memory = make(EnvOptions{.mem_size = MiB, .shm_id = 7, .no_huge = true});
  EXPECT_EQ(system_.requests.at(0).shm_id, 7);
  EXPECT_FALSE(system_.requests.at(0).huge);
  EXPECT_EQ(system_.requests.at(0).size, 2 * MiB);
}

TEST_F(MemoryServiceTest, FreeAfterTheEngineStopped) {
  LogLines log;
  auto memory = make();
  engine::MemoryService* const service = memory.get();
  std::byte* small = allocate(*memory, 4096);
  std::byte* large = allocate(*memory, 3 * MiB);
  memory.reset();
  EXPECT_THAT(log.take(), ElementsAre(HasSubstr("2 allocation(s) of 3.00 MiB")));
  EXPECT_EQ(allocate(*service, 4096), nullptr);
  EXPECT_EQ(service->info().allocations, 2u);
  std::memset(small, 1, 4096);
  std::memset(large, 1, 3 * MiB);
  std::thread([&] { service->free(small, 4096); }).join();
  EXPECT_GT(system_.chunks(), 0u);
  service->free(large, 3 * MiB);  // the service is gone after this
  EXPECT_EQ(system_.chunks(), 0u);
  EXPECT_THAT(log.take(), IsEmpty());
}

TEST_F(MemoryServiceTest, ManyTimesInOneProcess) {
  for (int i = 0; i < 300; ++i) {
    const auto memory = make(EnvOptions{.mem_size = i % 3 == 0 ? 4 * MiB : 0, .no_huge = true});
    std::byte* begin = allocate(*memory, 4096);
    ASSERT_NE(begin, nullptr);
    std::memset(begin, 1, 4096);
    memory->free(begin, 4096);
  }
}

// The engine stops in one thread while the last buffers are freed in others, whose caches overflow meanwhile.
TEST_F(MemoryServiceTest, StopsWhileOthersFree) {
  log::set_sink([](log::Level, std::string_view) {});
  for (int round = 0; round < 100; ++round) {
    auto memory = make();
    engine::MemoryService* const service = memory.get();
    std::vector<std::thread> threads;
    std::atomic<int> ready = 0;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, service] {
        std::vector<std::byte*> mine;
        for (int i = 0; i < 5; ++i) mine.push_back(allocate(*service, MiB));
        ++ready;
        for (std::byte* begin : mine) service->free(begin, MiB);
      });
    }
    while (ready != 3) std::this_thread::yield();
    memory.reset();
    for (auto& thread : threads) thread.join();
    ASSERT_EQ(system_.chunks(), 0u);
  }
  log::set_sink({});
}

TEST_F(MemoryServiceTest, ThreadsThatEndGiveTheirCachesBack) {
  const auto memory = make();
  for (int i = 0; i < 50; ++i) {
    std::thread([&] {
      std::vector<std::byte*> all;
      for (int b = 0; b < 300; ++b) all.push_back(allocate(*memory, 4096));
      for (std::byte* begin : all) memory->free(begin, 4096);
    }).join();
  }
  EXPECT_LE(system_.mapped, 4 * MiB);
}

/// Buffers that may be freed by any thread, each filled with its own mark.
struct Shadow {
  struct Item {
    std::byte* begin;
    std::size_t size;
    std::byte mark;
  };
  std::mutex mutex;
  std::vector<Item> items;
};

void use_randomly(engine::MemoryService& memory, Shadow& shadow, unsigned seed, int steps) {
  std::mt19937 random(seed);
  for (int step = 0; step < steps; ++step) {
    if (random() % 100 < 52) {
      std::size_t size = 1;
      switch (random() % 4) {
        case 0: size = 4096; break;
        case 1: size = 1 + random() % 10'000; break;
        case 2: size = 1 + random() % 200'000; break;
        case 3: size = random() % 20 == 0 ? 1 + random() % (4 * MiB) : 512; break;
      }
      const std::size_t alignment = std::size_t{1} << random() % 14;
      auto* begin = static_cast<std::byte*>(memory.allocate(size, alignment, any_node));
      if (begin == nullptr) continue;
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(begin) % alignment, 0u);
      const std::byte mark{static_cast<unsigned char>(random())};
      std::memset(begin, std::to_integer<int>(mark), size);
      const std::lock_guard lock(shadow.mutex);
      shadow.items.push_back({begin, size, mark});
    } else {
      Shadow::Item item{};
      {
        const std::lock_guard lock(shadow.mutex);
        if (shadow.items.empty()) continue;
        std::swap(shadow.items[random() % shadow.items.size()], shadow.items.back());
        item = shadow.items.back();
        shadow.items.pop_back();
      }
      for (std::size_t i = 0; i < item.size; i += 1 + item.size / 16) ASSERT_EQ(item.begin[i], item.mark);
      ASSERT_EQ(item.begin[item.size - 1], item.mark);
      memory.free(item.begin, item.size);
    }
  }
}

TEST_F(MemoryServiceTest, RandomAgainstAShadow) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    system_.memory_limit = seed % 2 == 0 ? 24 * MiB : ~std::size_t{0};  // with and without running out
    const auto memory = make();
    Shadow shadow;
    use_randomly(*memory, shadow, seed, 6000);
    EXPECT_EQ(memory->info().allocations, shadow.items.size());
    std::ranges::sort(shadow.items, {}, &Shadow::Item::begin);
    for (std::size_t i = 1; i < shadow.items.size(); ++i) {
      ASSERT_LE(shadow.items[i - 1].begin + shadow.items[i - 1].size, shadow.items[i].begin) << "overlap";
    }
    for (const auto& item : shadow.items) memory->free(item.begin, item.size);
    EXPECT_EQ(memory->info().allocations, 0u);
    EXPECT_EQ(memory->info().allocated, 0u);
  }
}

TEST_F(MemoryServiceTest, RandomInManyThreads) {
  system_.memory_limit = 64 * MiB;
  const auto memory = make();
  Shadow shadow;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] { use_randomly(*memory, shadow, 100 + t, 4000); });
  }
  std::thread observer([&] {
    for (int i = 0; i < 200; ++i) {
      [[maybe_unused]] const auto info = memory->info();
      [[maybe_unused]] const auto chunks = memory->chunks();
      std::this_thread::yield();
    }
  });
  for (auto& thread : threads) thread.join();
  observer.join();
  EXPECT_EQ(memory->info().allocations, shadow.items.size());
  for (const auto& item : shadow.items) memory->free(item.begin, item.size);
  EXPECT_EQ(memory->info().allocations, 0u);
}

#if defined(__SANITIZE_ADDRESS__) || (defined(__has_feature) && __has_feature(address_sanitizer))
TEST_F(MemoryServiceTest, SanitizerSeesUseAfterFreeAndOverruns) {
  const auto memory = make();
  for (const std::size_t size : {std::size_t{512}, 4096ul, 3 * MiB}) {
    std::byte* begin = allocate(*memory, size);
    EXPECT_FALSE(__asan_address_is_poisoned(begin));
    EXPECT_FALSE(__asan_address_is_poisoned(begin + size - 1));
    memory->free(begin, size);
    EXPECT_TRUE(__asan_address_is_poisoned(begin));
    EXPECT_TRUE(__asan_address_is_poisoned(begin + size - 1));
  }
  std::byte* begin = allocate(*memory, 1000, 64);
  EXPECT_TRUE(__asan_address_is_poisoned(begin + 1000)) << "the rest of the block";
  memory->free(begin, 1000);
}
#endif

}  // namespace
}  // namespace spdkio::embedded
