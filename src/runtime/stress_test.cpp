// Many OS threads at once; meant for ThreadSanitizer and AddressSanitizer as much as for its own assertions.
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/channel.hpp>
#include <spdkio/runtime/completion.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/stop_token.hpp>
#include <spdkio/runtime/when_all.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <atomic>
#include <memory>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;

constexpr int scale = sanitized ? 1 : 10;

TEST(Stress, EverybodySendsCallsSpawnsAndJoinsEverybody) {
  constexpr int threads = 4;
  constexpr int rounds = 60 * scale;
  std::vector<std::unique_ptr<OsThread>> workers;
  for (int i = 0; i < threads; ++i) workers.push_back(std::make_unique<OsThread>("worker " + std::to_string(i)));
  std::vector<ThreadHandle> handles;
  for (const auto& worker : workers) handles.push_back(worker->handle());
  std::atomic<int> messages{0};

  auto chatter = [&](int self) -> Task<int> {
    int answers = 0;
    for (int i = 0; i < rounds; ++i) {
      const auto& peer = handles[(self + i) % threads];
      EXPECT_TRUE(peer.send([&] { messages.fetch_add(1, std::memory_order_relaxed); }));
      const auto one = [] { return 1; };
      answers += co_await peer.call(one);
      auto spawned = peer.spawn([](int value) -> Task<int> {
        co_await yield();
        co_return value;
      }(1));
      answers += co_await std::move(spawned);
      auto [a, b] = co_await when_all(peer.call(one), handles[i % threads].call(one));
      answers += a + b;
    }
    co_return answers;
  };
  std::vector<JoinHandle<int>> chats;
  for (int i = 0; i < threads; ++i) chats.push_back(handles[i].spawn(chatter(i)));
  std::vector<std::thread> outsiders;
  std::atomic<int> joined{0};
  for (int i = 0; i < 2; ++i) {
    outsiders.emplace_back([&, i] {
      for (int k = 0; k < rounds; ++k) {
        auto task = [](int value) -> Task<int> { co_return value; };
        joined += handles[(i + k) % threads].spawn(task(1)).wait();
      }
    });
  }
  for (auto& chat : chats) EXPECT_EQ(chat.wait(), rounds * 4);
  for (auto& outsider : outsiders) outsider.join();
  for (auto& worker : workers) worker->stop();
  EXPECT_EQ(messages, threads * rounds);
  EXPECT_EQ(joined, 2 * rounds);
}

TEST(Stress, ThreadsEndWhileOthersStillSendAndSpawn) {
  for (int round = 0; round < 8 * scale; ++round) {
    auto worker = std::make_unique<OsThread>("mortal");
    const auto handle = worker->handle();
    std::atomic<int> accepted{0};
    std::atomic<int> ended{0};
    auto counted = [](std::shared_ptr<void> alive) { return [alive] {}; };
    auto alive = std::make_shared<int>();
    std::vector<std::thread> senders;
    for (int i = 0; i < 3; ++i) {
      senders.emplace_back([&] {
        for (;;) {
          if (!handle.send(counted(alive))) return;
          try {
            auto task = [](std::shared_ptr<void>) -> Task<> { co_await yield(); };
            auto joined = handle.spawn(task(alive));
            ++accepted;
            try {
              joined.wait();
            } catch (const Error& error) {
              EXPECT_EQ(error.code(), std::errc::no_such_process);
            }
            ++ended;
          } catch (const Error& error) {
            EXPECT_EQ(error.code(), std::errc::no_such_process);
            return;
          }
        }
      });
    }
    std::this_thread::yield();
    worker->stop();
    for (auto& sender : senders) sender.join();
    EXPECT_EQ(accepted, ended);  // nobody waits for ever
    EXPECT_EQ(alive.use_count(), 1);
  }
}

TEST(Stress, StopsFromManyOsThreads) {
  OsThread worker;
  for (int round = 0; round < 15 * scale; ++round) {
    std::stop_source source;
    auto task = [](std::stop_token token) -> Task<int> {
      Scope scope;
      auto sleeper = []() -> Task<> { co_await sleep_for(1h); };
      auto body = [](Scope& s) -> Task<> { co_await s.join(); };
      for (int i = 0; i < 4; ++i) scope.spawn(sleeper());
      const auto result = co_await as_result(with_stop_token(token, body(scope)));
      co_return is_cancelled(result.error()) ? 1 : 0;
    };
    auto handle = worker.handle().spawn(task(source.get_token()));
    std::vector<std::thread> stoppers;
    for (int i = 0; i < 2; ++i) stoppers.emplace_back([&] { source.request_stop(); });
    stoppers.emplace_back([&] { handle.request_stop(); });
    for (auto& stopper : stoppers) stopper.join();
    EXPECT_EQ(handle.wait(), 1);
  }
}

TEST(Stress, CompletionsAnsweredByManyOsThreads) {
  constexpr int answerers = 3;
  constexpr int rounds = 100 * scale;
  OsThread worker;
  std::vector<std::unique_ptr<OsThread>> sources;
  for (int i = 0; i < answerers; ++i) sources.push_back(std::make_unique<OsThread>());
  auto one = [&](int i) -> Task<int> {
    auto made = completion<int>();
    EXPECT_TRUE(sources[i % answerers]->handle().send([c = std::move(made.completer)]() mutable { c.set_value(1); }));
    co_return co_await std::move(made.awaitable);
  };
  auto all = [&]() -> Task<int> {
    int sum = 0;
    for (int i = 0; i < rounds; ++i) {
      auto [a, b, c] = co_await when_all(one(i), one(i + 1), one(i + 2));
      sum += a + b + c;
    }
    co_return sum;
  };
  EXPECT_EQ(worker.handle().spawn(all()).wait(), 3 * rounds);
}

TEST(Stress, ThreadsComeAndGoWhileOthersLookThemUp) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> lookers;
  for (int i = 0; i < 2; ++i) {
    lookers.emplace_back([&] {
      while (!stop) {
        for (const auto& handle : ThreadHandle::all()) {
          if (!handle.name().starts_with("ephemeral")) continue;
          [[maybe_unused]] const auto sent = handle.send([] {});
        }
      }
    });
  }
  for (int i = 0; i < 20 * scale; ++i) {
    OsThread thread("ephemeral " + std::to_string(i));
    EXPECT_TRUE(ThreadHandle::find(thread.handle().id()).has_value());
  }
  stop = true;
  for (auto& looker : lookers) looker.join();
}

}  // namespace
}  // namespace spdkio
