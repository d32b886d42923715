#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/completion.hpp>
#include <spdkio/runtime/when_all.hpp>
#include <spdkio/runtime/with_timeout.hpp>

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

// What a C library looks like: calls back later, from a thread of its own or from its own poll function.
struct CLibrary {
  using Callback = void (*)(void* context, int status);
  void start(Callback callback, void* context) { pending.emplace_back(callback, context); }
  void poll(int status) {
    for (auto [callback, context] : std::exchange(pending, {})) callback(context, status);
  }
  std::vector<std::pair<Callback, void*>> pending;
};

void on_done(void* context, int status) {
  auto completer = Completer<int>::from_context(context);
  if (status < 0) {
    completer.set_error(Error::from_errno(-status));
  } else {
    completer.set_value(status);
  }
}

TEST(Completion, ACallbackOnTheSameThread) {
  run([]() -> Task<> {
    CLibrary library;
    auto [completer, done] = completion<int>();
    library.start(on_done, std::move(completer).into_context());
    auto poller = CurrentThread::spawn([](CLibrary& l) -> Task<> {
      co_await yield();
      l.poll(5);
    }(library));
    EXPECT_EQ(co_await std::move(done), 5);
    co_await std::move(poller);
  });
}

TEST(Completion, AnErrorFromTheCallback) {
  run([]() -> Task<> {
    CLibrary library;
    auto [completer, done] = completion<int>();
    library.start(on_done, std::move(completer).into_context());
    library.poll(-ENOSPC);
    EXPECT_EQ((co_await as_result(std::move(done))).error().code(), std::errc::no_space_on_device);
  });
}

TEST(Completion, AnAnswerBeforeTheWaitDoesNotSuspend) {
  run([]() -> Task<> {
    auto [completer, done] = completion<std::unique_ptr<int>>();
    EXPECT_TRUE(completer.set_value(std::make_unique<int>(3)));
    EXPECT_EQ(*co_await std::move(done), 3);
    auto [nothing, signal] = completion();
    EXPECT_TRUE(nothing.set_value());
    co_await std::move(signal);
  });
}

TEST(Completion, OnlyTheFirstAnswerCounts) {
  run([]() -> Task<> {
    auto [completer, done] = completion<int>();
    EXPECT_TRUE(completer.set_value(1));
    EXPECT_FALSE(completer.set_value(2));
    EXPECT_FALSE(completer.set_error(Error(std::errc::io_error)));
    EXPECT_EQ(co_await std::move(done), 1);
    auto moved_to = std::move(completer);
    EXPECT_FALSE(completer.set_value(3));  // NOLINT(bugprone-use-after-move)
  });
}

TEST(Completion, DroppedUnansweredIsAnErrorAndNoHang) {
  run([]() -> Task<> {
    auto made = completion<int>();
    {
      const auto dropped = std::move(made.completer);
    }
    const auto result = co_await as_result(std::move(made.awaitable));
    EXPECT_EQ(result.error().code(), make_error_code(Misuse::callback_threw));
    EXPECT_THAT(result.error().what(), HasSubstr("without an answer"));
  });
}

TEST(Completion, AwaitedTwiceIsMisuse) {
  run([]() -> Task<> {
    auto [completer, done] = completion<int>();
    completer.set_value(1);
    EXPECT_EQ(co_await done, 1);
    EXPECT_EQ((co_await as_result(done)).error().code(), make_error_code(Misuse::already_closed));

    auto [later, awaitable] = completion<int>();
    auto first =
        CurrentThread::spawn([](CompletionAwaitable<int>& a) -> Task<int> { co_return co_await a; }(awaitable));
    co_await yield();
    EXPECT_EQ((co_await as_result(awaitable)).error().code(), make_error_code(Misuse::already_closed));
    later.set_value(2);
    EXPECT_EQ(co_await std::move(first), 2);
  });
}

TEST(Completion, AValueThatThrowsLeavesItUnanswered) {
  struct Picky {
    explicit Picky(int v) {
      if (v < 0) throw std::runtime_error("negative");
    }
  };
  run([]() -> Task<> {
    auto [completer, done] = completion<Picky>();
    EXPECT_THROW(completer.set_value(-1), std::runtime_error);
    EXPECT_TRUE(completer.set_value(1));
    co_await std::move(done);
  });
}

TEST(Completion, AStopWaitsForTheRealEnd) {
  run([]() -> Task<> {
    auto made = completion<int>();
    auto answer = CurrentThread::spawn([](Completer<int> c) -> Task<> {
      co_await sleep_for(3ms);
      c.set_value(6);
    }(std::move(made.completer)));
    EXPECT_EQ(co_await with_timeout(1ms, std::move(made.awaitable)), 6);
    co_await std::move(answer);
  });
}

TEST(Completion, AnsweredFromForeignOsThreadsAtEveryMoment) {
  constexpr int rounds = sanitized ? 300 : 2000;
  std::atomic<std::shared_ptr<Completer<int>>> handed_over;
  std::atomic<bool> stop{false};
  std::vector<std::thread> answerers;
  for (int i = 0; i < 3; ++i) {
    answerers.emplace_back([&] {
      while (!stop) {
        if (const auto completer = handed_over.exchange(nullptr)) completer->set_value(1);
      }
    });
  }
  const int sum = run([&]() -> Task<int> {
    int total = 0;
    for (int i = 0; i < rounds; ++i) {
      auto made = completion<int>();
      handed_over = std::make_shared<Completer<int>>(std::move(made.completer));
      if (i % 2 == 0) co_await yield();
      total += co_await std::move(made.awaitable);
    }
    co_return total;
  });
  stop = true;
  for (auto& answerer : answerers) answerer.join();
  EXPECT_EQ(sum, rounds);
}

TEST(Completion, AnsweredAfterTheWaitingThreadEnded) {
  LogCapture log;
  const LeaksOnPurpose leaks;
  auto made = completion<int>();
  std::optional<JoinHandle<int>> handle;
  {
    auto thread = Thread::attach("short-lived");
    handle =
        thread.spawn([](CompletionAwaitable<int>& a) -> Task<int> { co_return co_await a; }(made.awaitable), "waits");
  }  // gives up on the task
  EXPECT_TRUE(made.completer.set_value(1));
  EXPECT_EQ(error_of([&] { handle->wait(); }), std::make_error_code(std::errc::no_such_process));
  EXPECT_THAT(log.text(), HasSubstr("waits ("));
  EXPECT_THAT(log.text(), HasSubstr("waiting on completion"));
}

}  // namespace
}  // namespace spdkio
