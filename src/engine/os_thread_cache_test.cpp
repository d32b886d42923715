#include "engine/os_thread_cache.hpp"

#include <gtest/gtest.h>

#include <mutex>
#include <vector>

namespace spdkio::engine {
namespace {

struct CountingCache final : OsThreadCache {
  explicit CountingCache(std::atomic<int>& count) : ended(count) {}
  void os_thread_ended() noexcept override { ++ended; }
  std::atomic<int>& ended;
};

TEST(OsThreadCache, EachOsThreadHasItsOwn) {
  std::atomic<int> ended = 0;
  const StockId stock = next_stock_id();
  EXPECT_EQ(os_thread_cache(stock), nullptr);
  auto mine = std::make_shared<CountingCache>(ended);
  ASSERT_TRUE(add_os_thread_cache(stock, mine));
  EXPECT_EQ(os_thread_cache(stock), mine.get());
  std::thread([&] {
    EXPECT_EQ(os_thread_cache(stock), nullptr);
    ASSERT_TRUE(add_os_thread_cache(stock, std::make_shared<CountingCache>(ended)));
    EXPECT_NE(os_thread_cache(stock), mine.get());
    EXPECT_EQ(ended, 0);
  }).join();
  EXPECT_EQ(ended, 1);
  mine->detach();
}

// More stocks than are remembered at once, which also share places there.
TEST(OsThreadCache, ManyStocks) {
  std::atomic<int> ended = 0;
  std::vector<std::pair<StockId, std::shared_ptr<CountingCache>>> all;
  for (int i = 0; i < 100; ++i) {
    all.emplace_back(next_stock_id(), std::make_shared<CountingCache>(ended));
    ASSERT_TRUE(add_os_thread_cache(all.back().first, all.back().second));
  }
  for (int round = 0; round < 3; ++round) {
    for (const auto& [stock, cache] : all) ASSERT_EQ(os_thread_cache(stock), cache.get());
  }
  for (const auto& [stock, cache] : all) cache->detach();
}

TEST(OsThreadCache, DetachedOnesGoWithTheNextThatComes) {
  std::atomic<int> ended = 0;
  const StockId stock = next_stock_id();
  auto cache = std::make_shared<CountingCache>(ended);
  ASSERT_TRUE(add_os_thread_cache(stock, cache));
  ASSERT_EQ(os_thread_cache(stock), cache.get());
  cache->detach();
  EXPECT_EQ(cache.use_count(), 2);
  auto next = std::make_shared<CountingCache>(ended);
  ASSERT_TRUE(add_os_thread_cache(next_stock_id(), next));
  EXPECT_EQ(cache.use_count(), 1);
  EXPECT_EQ(os_thread_cache(stock), nullptr);
  next->detach();
}

TEST(OsThreadCache, AnEndingOsThreadGetsNone) {
  std::atomic<int> ended = 0;
  static std::atomic<int> refused;
  refused = 0;
  struct Late {
    ~Late() {
      std::atomic<int> unused = 0;
      if (!add_os_thread_cache(next_stock_id(), std::make_shared<CountingCache>(unused))) ++refused;
    }
  };
  std::thread([&] {
    static thread_local Late late;  // made first, so destroyed last
    [[maybe_unused]] const auto* touch = &late;
    ASSERT_TRUE(add_os_thread_cache(next_stock_id(), std::make_shared<CountingCache>(ended)));
  }).join();
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(refused, 1);
}

TEST(OsThreadCache, LockKeepsOthersOut) {
  std::atomic<int> ended = 0;
  CountingCache cache(ended);
  int value = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        const std::lock_guard lock(cache);
        ++value;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(value, 20'000);
}

}  // namespace
}  // namespace spdkio::engine
