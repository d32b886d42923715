#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/stop_token.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <memory>
#include <stop_token>
#include <thread>
#include <utility>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;

Task<bool> sleeps_until_cancelled() { co_return is_cancelled((co_await as_result(sleep_for(1h))).error()); }

TEST(StopTokenOfATask, ShowsTheStopRequestedAbove) {
  run([]() -> Task<> {
    const StopToken token = co_await stop_token();
    EXPECT_TRUE(token.stop_possible());  // the Thread's own end
    EXPECT_FALSE(token.stop_requested());
    auto spin = []() -> Task<int> {
      int turns = 0;
      for (const StopToken own = co_await stop_token(); !own.stop_requested(); ++turns) co_await yield();
      co_return turns;
    };
    EXPECT_GT(co_await with_timeout(1ms, spin()), 0);
  });
}

TEST(WithStopToken, ARequestFromAnotherOsThreadStopsWhatIsInside) {
  std::stop_source source;
  std::jthread requester([&] {
    std::this_thread::sleep_for(2ms);
    source.request_stop();
  });
  EXPECT_TRUE(
      run([&]() -> Task<bool> { co_return co_await with_stop_token(source.get_token(), sleeps_until_cancelled()); }));
}

TEST(WithStopToken, ARequestMadeBefore) {
  std::stop_source source;
  source.request_stop();
  EXPECT_TRUE(
      run([&]() -> Task<bool> { co_return co_await with_stop_token(source.get_token(), sleeps_until_cancelled()); }));
}

TEST(WithStopToken, ARequestFromInside) {
  std::stop_source source;
  auto body = [](std::stop_source& s) -> Task<bool> {
    s.request_stop();
    co_return co_await sleeps_until_cancelled();
  };
  EXPECT_TRUE(run([&]() -> Task<bool> { co_return co_await with_stop_token(source.get_token(), body(source)); }));
}

TEST(WithStopToken, ARequestAfterTheEndHasNoEffect) {
  std::stop_source source;
  run([&]() -> Task<> {
    auto quick = []() -> Task<int> {
      co_await yield();
      co_return 3;
    };
    EXPECT_EQ(co_await with_stop_token(source.get_token(), quick()), 3);
    source.request_stop();
    co_await yield();
  });
}

TEST(WithStopToken, WithoutASourceAndUnderAnOuterStop) {
  run([]() -> Task<> {
    EXPECT_TRUE(co_await with_timeout(1ms, with_stop_token(std::stop_token{}, sleeps_until_cancelled())));
    std::stop_source source;
    EXPECT_TRUE(co_await with_timeout(1ms, with_stop_token(source.get_token(), sleeps_until_cancelled())));
  });
}

TEST(WithStopToken, PassesValuesAndExceptionsThrough) {
  run([]() -> Task<> {
    std::stop_source source;
    auto unique = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(2); };
    EXPECT_EQ(*co_await with_stop_token(source.get_token(), unique()), 2);
    auto fails = []() -> Task<> {
      co_await yield();
      throw Error(std::errc::io_error);
    };
    EXPECT_EQ((co_await as_result(with_stop_token(source.get_token(), fails()))).error().code(), std::errc::io_error);
  });
}

TEST(WithStopToken, RequestsRaceWithTheEnd) {
  // The request arrives before, during or after the end; nothing is lost and nothing dangles.
  for (int i = 0; i < 200; ++i) {
    std::stop_source source;
    std::jthread requester([&] { source.request_stop(); });
    run([&]() -> Task<> {
      auto short_one = []() -> Task<> {
        for (int turn = 0; turn < 20; ++turn) co_await yield();
      };
      co_await with_stop_token(source.get_token(), short_one());
    });
  }
}

}  // namespace
}  // namespace spdkio
