#include <spdkio/engine/dma_pool.hpp>

#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/thread.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine/fake_engine.hpp"

namespace spdkio {
namespace {

using testing::HasSubstr;

/// Collects what is logged.
class LogLines {
 public:
  LogLines() {
    log::set_sink([this](log::Level, std::string_view text) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(text);
    });
  }
  ~LogLines() { log::set_sink({}); }
  std::vector<std::string> get() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

class DmaPoolTest : public testing::Test {
 protected:
  std::size_t allocations() { return engine_.fake_memory().allocations; }
  engine::FakeEngine engine_;
};

std::vector<PooledBuf> take_all(DmaPool& pool) {
  std::vector<PooledBuf> out;
  while (PooledBuf buf = pool.try_take()) out.push_back(std::move(buf));
  return out;
}

TEST_F(DmaPoolTest, RefusesWhatCanNeverBeRight) {
  const auto code = [](DmaPoolOptions options) -> std::error_code {
    try {
      const DmaPool pool{std::move(options)};
    } catch (const Error& error) {
      return error.code();
    }
    return {};
  };
  EXPECT_EQ(code({.buf_size = 0}), Misuse::invalid_argument);
  EXPECT_EQ(code({.count = 0}), Misuse::invalid_argument);
  EXPECT_EQ(code({.alignment = 48}), Misuse::invalid_argument);
  EXPECT_EQ(code({.buf_size = ~std::size_t{0}}), std::errc::not_enough_memory);
  EXPECT_EQ(code({.buf_size = std::size_t{1} << 40, .count = std::size_t{1} << 40}), std::errc::not_enough_memory);
  engine_.fake_memory().limit = 100'000;
  EXPECT_EQ(code({.buf_size = 4096, .count = 100}), std::errc::not_enough_memory);
  EXPECT_EQ(allocations(), 0u);
}

TEST_F(DmaPoolTest, HandsOutEveryBufferOnce) {
  DmaPool pool{{.name = "bufs", .buf_size = 1000, .count = 37, .alignment = 512}};
  EXPECT_EQ(pool.buf_size(), 1000u);
  EXPECT_EQ(pool.name(), "bufs");
  auto all = take_all(pool);
  ASSERT_EQ(all.size(), 37u);
  std::set<std::byte*> begins;
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(all[i].data()) % 512, 0u);
    std::ranges::fill(all[i].bytes(), std::byte{static_cast<unsigned char>(i)});
    begins.insert(all[i].data());
  }
  EXPECT_EQ(begins.size(), 37u);
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(all[i][0], std::byte{static_cast<unsigned char>(i)}) << "buffers overlap";
    ASSERT_EQ(all[i][999], std::byte{static_cast<unsigned char>(i)});
  }
  EXPECT_EQ(pool.stats().in_use, 37u);
  EXPECT_FALSE(pool.try_take());
  all.pop_back();
  EXPECT_TRUE(pool.try_take());
  all.clear();
  EXPECT_EQ(pool.stats().in_use, 0u);
}

TEST_F(DmaPoolTest, WithoutCaches) {
  DmaPool pool{{.count = 10, .cache_size = 0}};
  for (int round = 0; round < 3; ++round) EXPECT_EQ(take_all(pool).size(), 10u);
  EXPECT_EQ(pool.stats().cached, 0u);
  EXPECT_EQ(pool.stats().in_use, 0u);
}

TEST_F(DmaPoolTest, SmallCachesOverflow) {
  for (const std::size_t cache_size : {1u, 2u, 3u, 5u}) {
    DmaPool pool{{.count = 16, .cache_size = cache_size}};
    for (int round = 0; round < 3; ++round) {
      EXPECT_EQ(take_all(pool).size(), 16u);
      EXPECT_LE(pool.stats().cached, cache_size);
    }
  }
}

TEST_F(DmaPoolTest, BuffersMove) {
  DmaPool pool{{.count = 2}};
  PooledBuf first = pool.try_take();
  PooledBuf second = std::move(first);
  EXPECT_FALSE(first);
  EXPECT_TRUE(second);
  const DmaSpan span = second;
  EXPECT_EQ(span.size(), 4096u);
  second.reset();
  second.reset();
  EXPECT_EQ(pool.stats().in_use, 0u);
  DmaPool moved{std::move(pool)};
  EXPECT_EQ(moved.count(), 2u);
}

// What lies in the cache of a thread that does nothing is not lost for the others.
TEST_F(DmaPoolTest, TakesFromOtherThreadsCaches) {
  DmaPool pool{{.count = 8}};
  take_all(pool).clear();
  ASSERT_GT(pool.stats().cached, 0u);
  std::thread([&] { EXPECT_EQ(take_all(pool).size(), 8u); }).join();
  EXPECT_EQ(take_all(pool).size(), 8u) << "an OS thread that ends gives back what it kept";
}

TEST_F(DmaPoolTest, GivenBackOnAnotherThread) {
  DmaPool pool{{.count = 4}};
  auto all = take_all(pool);
  std::thread([bufs = std::move(all)]() mutable { bufs.clear(); }).join();
  EXPECT_EQ(pool.stats().in_use, 0u);
  EXPECT_EQ(take_all(pool).size(), 4u);
}

TEST_F(DmaPoolTest, DestroyedWithBuffersOut) {
  LogLines log;
  std::vector<PooledBuf> out;
  {
    DmaPool pool{{.name = "lent", .count = 6}};
    out = take_all(pool);
    out.resize(2);
  }
  ASSERT_EQ(log.get().size(), 1u);
  EXPECT_THAT(log.get()[0], HasSubstr("'lent'"));
  EXPECT_THAT(log.get()[0], HasSubstr("2 of its 6"));
  EXPECT_EQ(allocations(), 1u) << "the memory stays";
  std::ranges::fill(out[0].bytes(), std::byte{1});
  out.pop_back();
  EXPECT_EQ(allocations(), 1u);
  std::thread([&] { out.clear(); }).join();
  EXPECT_EQ(allocations(), 0u);
}

TEST_F(DmaPoolTest, WaitersAreServedInOrder) {
  DmaPool pool{{.count = 1}};
  Thread thread = Thread::attach("main");
  std::vector<int> order;
  const auto user = [&](int id) -> Task<> {
    PooledBuf buf = co_await pool.take();
    order.push_back(id);
    co_await yield();
  };
  const auto body = [&]() -> Task<> {
    Scope scope;
    PooledBuf held = co_await pool.take();
    for (int i = 0; i < 5; ++i) scope.spawn(user(i));
    EXPECT_EQ(pool.stats().waiters, 5u);
    EXPECT_FALSE(pool.try_take());
    held.reset();
    EXPECT_FALSE(pool.try_take()) << "nobody overtakes";
    co_await scope.join();
  };
  block_on(body());
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4}));
  EXPECT_EQ(pool.stats().in_use, 0u);
  EXPECT_EQ(pool.stats().waiters, 0u);
}

TEST_F(DmaPoolTest, AStopEndsTheWait) {
  DmaPool pool{{.count = 1}};
  Thread thread = Thread::attach("main");
  std::error_code seen;
  const auto waiter = [&]() -> Task<> {
    const auto got = co_await as_result(pool.take());
    seen = got ? std::error_code{} : got.error().code();
  };
  const auto body = [&]() -> Task<> {
    const PooledBuf held = co_await pool.take();
    Scope scope;
    scope.spawn(waiter());
    scope.request_stop();
    co_await scope.join();
    EXPECT_EQ(seen, std::errc::operation_canceled);
    EXPECT_EQ(pool.stats().waiters, 0u);
  };
  block_on(body());
  EXPECT_EQ(pool.stats().in_use, 0u);
}

// A stop that comes when the buffer is on its way takes nothing back.
TEST_F(DmaPoolTest, AStopAfterTheBufferWasHandedOver) {
  DmaPool pool{{.count = 1}};
  Thread thread = Thread::attach("main");
  bool got = false;
  const auto waiter = [&]() -> Task<> {
    const PooledBuf buf = co_await pool.take();
    got = static_cast<bool>(buf);
  };
  const auto body = [&]() -> Task<> {
    PooledBuf held = co_await pool.take();
    Scope scope;
    scope.spawn(waiter());
    std::thread([&] { held.reset(); }).join();  // from elsewhere: by message
    scope.request_stop();
    co_await scope.join();
  };
  block_on(body());
  EXPECT_TRUE(got);
  EXPECT_EQ(pool.stats().in_use, 0u);
}

TEST_F(DmaPoolTest, TakingOutsideOfAThread) {
  DmaPool pool{{.count = 1}};
  const PooledBuf held = pool.try_take();
  auto take = pool.take();
  EXPECT_FALSE(take.await_ready());
  try {
    take.await_suspend(std::noop_coroutine());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Misuse::wrong_thread);
  }
  EXPECT_EQ(pool.stats().waiters, 0u);
}

TEST_F(DmaPoolTest, DestroyedUnderAWaiter) {
  LogLines log;
  Thread thread = Thread::attach("main");
  std::error_code seen;
  const auto body = [&]() -> Task<> {
    auto pool = std::make_unique<DmaPool>(DmaPoolOptions{.name = "gone", .count = 1});
    PooledBuf held = co_await pool->take();
    const auto waiter = [&]() -> Task<> {
      const auto got = co_await as_result(pool->take());
      seen = got ? std::error_code{} : got.error().code();
    };
    Scope scope;
    scope.spawn(waiter());
    pool.reset();
    co_await scope.join();
  };
  block_on(body());
  EXPECT_EQ(seen, std::errc::operation_canceled);
  EXPECT_THAT(log.get(), testing::Contains(HasSubstr("1 task(s) wait")));
  EXPECT_EQ(allocations(), 0u);
}

// Every task sees its own buffer untouched between the waits, whoever had it before; all buffers are home at the end.
TEST_F(DmaPoolTest, StressAcrossThreads) {
  constexpr int threads = 4;
  constexpr int tasks = 8;
  DmaPool pool{{.buf_size = 64, .count = 6, .alignment = 64, .cache_size = 4}};
  std::atomic<int> taken = 0;
  std::atomic<int> stopped = 0;
  const auto worker = [&](unsigned seed) -> Task<> {
    std::mt19937 random(seed);
    for (int i = 0; i < 200; ++i) {
      PooledBuf buf = co_await pool.take();
      const std::byte mark{static_cast<unsigned char>(random())};
      std::ranges::fill(buf.bytes(), mark);
      if (random() % 3 == 0) co_await yield();
      for (const std::byte b : buf.bytes()) {
        if (b != mark) ADD_FAILURE() << "somebody else has this buffer";
      }
      ++taken;
    }
  };
  const auto impatient = [&]() -> Task<> {
    const auto got = co_await as_result(pool.take());
    if (!got) ++stopped;
  };
  const auto body = [&](unsigned seed) -> Task<> {
    Scope scope;
    for (unsigned i = 0; i < tasks; ++i) scope.spawn(worker(seed * 100 + i));
    for (int i = 0; i < 50; ++i) {
      Scope other;
      other.spawn(impatient());
      co_await yield();
      other.request_stop();
      co_await other.join();
    }
    co_await scope.join();
  };
  std::vector<std::thread> running;
  for (unsigned t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      Thread thread = Thread::attach("worker" + std::to_string(t));
      block_on(body(t));
      thread.close();
    });
  }
  for (auto& thread : running) thread.join();
  EXPECT_EQ(taken, threads * tasks * 200);
  const auto stats = pool.stats();
  EXPECT_EQ(stats.in_use, 0u);
  EXPECT_EQ(stats.waiters, 0u);
  EXPECT_EQ(take_all(pool).size(), 6u);
}

// One takes and the other gives back, all the time: buffers flow through the stock and waiters are woken by message.
TEST_F(DmaPoolTest, OneTakesTheOtherGives) {
  DmaPool pool{{.buf_size = 64, .count = 16, .alignment = 64}};
  std::mutex mutex;
  std::vector<PooledBuf> between;
  std::atomic<bool> done = false;
  std::thread giver([&] {
    while (true) {
      const bool last = done;
      std::vector<PooledBuf> bufs;
      {
        const std::lock_guard lock(mutex);
        bufs.swap(between);
      }
      if (last && bufs.empty()) return;
      bufs.clear();
      std::this_thread::yield();
    }
  });
  Thread thread = Thread::attach("taker");
  const auto body = [&]() -> Task<> {
    for (int i = 0; i < 20'000; ++i) {
      PooledBuf buf = co_await pool.take();
      const std::lock_guard lock(mutex);
      between.push_back(std::move(buf));
    }
  };
  block_on(body());
  done = true;
  giver.join();
  EXPECT_EQ(pool.stats().in_use, 0u);
}

// The last buffers come back from several OS threads at the moment the pool goes.
TEST_F(DmaPoolTest, DestroyedWhileOthersGiveBack) {
  log::set_sink([](log::Level, std::string_view) {});
  for (int round = 0; round < 200; ++round) {
    auto pool = std::make_unique<DmaPool>(DmaPoolOptions{.buf_size = 64, .count = 8, .alignment = 64, .cache_size = 2});
    auto all = take_all(*pool);
    std::vector<std::thread> givers;
    for (int t = 0; t < 2; ++t) {
      std::vector<PooledBuf> mine;
      for (int i = 0; i < 4; ++i) {
        mine.push_back(std::move(all.back()));
        all.pop_back();
      }
      givers.emplace_back([bufs = std::move(mine)]() mutable { bufs.clear(); });
    }
    pool.reset();
    for (auto& giver : givers) giver.join();
    ASSERT_EQ(allocations(), 0u);
  }
  log::set_sink({});
}

}  // namespace
}  // namespace spdkio
