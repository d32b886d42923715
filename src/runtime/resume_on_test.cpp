#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/stop_token.hpp>
#include <spdkio/runtime/thread.hpp>
#include <spdkio/runtime/when_all.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::HasSubstr;

/// g++ 12 takes no braced list inside a co_await expression.
template <class... Handles>
std::vector<ThreadHandle> hops(const Handles&... handles) {
  return std::vector<ThreadHandle>{handles...};
}

Task<std::string> travel(std::vector<ThreadHandle> stations) {
  std::string route = CurrentThread::name();
  for (const auto& station : stations) {
    co_await resume_on(station);
    route += " " + CurrentThread::name();
  }
  co_return route;
}

TEST(ResumeOn, MovesTheTaskAndNotItsAwaiter) {
  OsThread a("a");
  OsThread b("b");
  run([&]() -> Task<> {
    const auto home = CurrentThread::handle();
    EXPECT_EQ(co_await travel(hops(a.handle())), "block_on a");
    EXPECT_TRUE(home.is_current());
    EXPECT_EQ(co_await travel(hops(a.handle(), b.handle(), a.handle())), "block_on a b a");
    EXPECT_TRUE(home.is_current());
    EXPECT_EQ(co_await travel(hops(a.handle(), home)), "block_on a block_on");
    EXPECT_TRUE(home.is_current());
    EXPECT_EQ(co_await travel(hops(home, home)), "block_on block_on block_on");
  });
}

TEST(ResumeOn, TasksAwaitedOverThereStayThere) {
  OsThread a("a");
  OsThread b("b");
  run([&]() -> Task<> {
    auto nested = [&]() -> Task<std::string> {
      co_await resume_on(a.handle());
      const auto inner = co_await travel(hops(b.handle()));
      co_return inner + " " + CurrentThread::name();
    };
    EXPECT_EQ(co_await nested(), "a b a");
    EXPECT_EQ(CurrentThread::name(), "block_on");
  });
}

TEST(ResumeOn, ExceptionsComeHome) {
  OsThread other;
  run([&]() -> Task<> {
    auto fails = [&]() -> Task<> {
      co_await resume_on(other.handle());
      throw std::runtime_error("over there");
    };
    EXPECT_THAT((co_await as_result(fails())).error().what(), HasSubstr("over there"));
    EXPECT_EQ(CurrentThread::name(), "block_on");
  });
}

TEST(ResumeOn, WorksInsideCombinatorsAndScopes) {
  OsThread a("a");
  OsThread b("b");
  run([&]() -> Task<> {
    auto [x, y] = co_await when_all(travel(hops(a.handle())), travel(hops(b.handle(), a.handle())));
    EXPECT_EQ(x, "block_on a");
    EXPECT_EQ(y, "block_on b a");
    Scope scope;
    for (int i = 0; i < 20; ++i) scope.spawn(travel(hops(a.handle(), b.handle())));
    co_await scope.join();
    EXPECT_EQ(CurrentThread::name(), "block_on");
  });
}

Task<bool> sleep_over_there(ThreadHandle where) {
  co_await resume_on(where);
  co_return is_cancelled((co_await as_result(sleep_for(1h))).error());
}

TEST(ResumeOn, AStopAtHomeFollowsTheTask) {
  OsThread a("a");
  OsThread b("b");
  run([&]() -> Task<> {
    EXPECT_TRUE(co_await with_timeout(2ms, sleep_over_there(a.handle())));
    auto two_hops = [&]() -> Task<bool> {
      co_await resume_on(b.handle());
      co_return co_await sleep_over_there(a.handle());
    };
    EXPECT_TRUE(co_await with_timeout(2ms, two_hops()));
    auto twice_the_same = [&]() -> Task<bool> {
      co_await resume_on(b.handle());
      co_await resume_on(a.handle());
      co_return is_cancelled((co_await as_result(sleep_for(1h))).error());
    };
    EXPECT_TRUE(co_await with_timeout(2ms, twice_the_same()));
  });
}

TEST(ResumeOn, AStopRequestedBeforeIsSeenOverThere) {
  OsThread other;
  run([&]() -> Task<> {
    auto looks = [&]() -> Task<bool> {
      co_await resume_on(other.handle());
      co_return (co_await stop_token()).stop_requested();
    };
    EXPECT_TRUE(co_await with_timeout(0ms, looks()));
  });
}

TEST(ResumeOn, AStopOfTheSpawnedTaskFollowsIt) {
  OsThread home("home");
  OsThread away("away");
  auto handle = home.handle().spawn(sleep_over_there(away.handle()));
  std::this_thread::sleep_for(1ms);
  handle.request_stop();
  EXPECT_TRUE(handle.wait());
}

TEST(ResumeOn, StopsRaceWithHopsAndEnds) {
  OsThread a("a");
  OsThread b("b");
  constexpr int rounds = sanitized ? 200 : 1000;
  run([&]() -> Task<> {
    for (int i = 0; i < rounds; ++i) {
      auto hops = [&]() -> Task<int> {
        int count = 0;
        for (; count < 20 && !(co_await stop_token()).stop_requested(); ++count) {
          co_await resume_on(count % 2 == 0 ? a.handle() : b.handle());
        }
        co_return count;
      };
      EXPECT_LE(co_await with_timeout(std::chrono::microseconds(i % 50), hops()), 20);
    }
  });
}

TEST(ResumeOn, AThreadThatIsToEndStopsItsVisitorsAndWaitsForThem) {
  auto guest = std::make_unique<OsThread>("guest house");
  OsThread home("home");
  auto handle = home.handle().spawn(sleep_over_there(guest->handle()));
  auto has_guests = [&] {
    std::promise<bool> answer;
    EXPECT_TRUE(guest->handle().send([&] { answer.set_value(!detail::ThreadCore::current()->drained()); }));
    return answer.get_future().get();
  };
  while (!has_guests()) std::this_thread::yield();
  guest->stop();
  EXPECT_TRUE(handle.wait());
}

TEST(ResumeOn, ToAThreadThatEndsWhileTheTaskIsOnItsWayComesBackWithAnError) {
  auto thread = Thread::attach("ending");
  OsThread home("home");
  auto hops = [](ThreadHandle target) -> Task<std::string> {
    const auto result = co_await as_result([](ThreadHandle t) -> Task<> {
      try {
        co_await resume_on(t);
      } catch (const Error& error) {
        EXPECT_EQ(CurrentThread::name(), "home");  // thrown where it was
        throw;
      }
    }(target));
    co_return result.error().what();
  };
  auto handle = home.handle().spawn(hops(thread.handle()));
  while (thread.handle().mailbox()->empty()) std::this_thread::yield();
  detail::ThreadCore::current()->finish();  // gives up with the task in its mailbox
  EXPECT_THAT(handle.wait(), HasSubstr("thread 'ending' has ended"));
}

TEST(ResumeOn, HopsRaceWithTheEndOfTheTarget) {
  OsThread home("home");
  for (int i = 0; i < (sanitized ? 50 : 200); ++i) {
    OsThread target("target");
    auto hop = [](ThreadHandle to) -> Task<bool> {
      const auto arrived = co_await as_result([](ThreadHandle t) -> Task<> { co_await resume_on(t); }(to));
      EXPECT_EQ(CurrentThread::name(), "home");
      co_return arrived.has_value();
    };
    std::vector<JoinHandle<bool>> handles;
    for (int k = 0; k < 5; ++k) handles.push_back(home.handle().spawn(hop(target.handle())));
    target.stop();
    for (auto& handle : handles) handle.wait();  // an answer, whichever
  }
}

TEST(ResumeOn, ListedAsAwayAndNotLookedInto) {
  OsThread other;
  run([&]() -> Task<> {
    Scope scope;
    scope.spawn(sleep_over_there(other.handle()), "traveller");
    co_await sleep_for(1ms);
    const auto running = scope.running();
    EXPECT_EQ(running.size(), 1u);
    EXPECT_EQ(running[0].waiting_on, "another thread");
    scope.request_stop();
    co_await scope.join();
  });
}

TEST(ResumeOn, ListingsRaceWithTravellers) {
  OsThread a("a");
  run([&]() -> Task<> {
    Scope scope;
    auto busy = [](ThreadHandle where) -> Task<> {
      for (int i = 0; i < 20; ++i) {
        auto there = [&]() -> Task<> {
          co_await resume_on(where);
          co_await yield();
          co_await sleep_for(1us);
        };
        co_await there();
      }
    };
    for (int i = 0; i < 5; ++i) scope.spawn(busy(a.handle()), "busy");
    while (scope.size() > 0) {
      for (const auto& task : scope.running()) EXPECT_FALSE(task.waiting_on.empty());
      co_await yield();
    }
    co_await scope.join();
  });
}

struct Foreign {
  struct promise_type {
    Foreign get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

TEST(ResumeOn, ATaskAwaitedOnNoThreadGoesOnWhereItEnded) {
  OsThread other;
  std::promise<std::string> where;
  [](ThreadHandle to, std::promise<std::string>& result) -> Foreign {
    auto hop = [](ThreadHandle t) -> Task<> { co_await resume_on(t); };
    co_await hop(to);
    result.set_value(CurrentThread::name());
  }(other.handle(), where);
  EXPECT_EQ(where.get_future().get(), "other");
}

}  // namespace
}  // namespace spdkio
