#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/channel.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/when_any.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Task<> send_all(Channel<int>& channel, int first, int count) {
  for (int i = 0; i < count; ++i) co_await channel.send(first + i);
}
Task<> receive_all(Channel<int>& channel, std::vector<int>& to) {
  while (auto value = co_await channel.receive()) to.push_back(*value);
}

TEST(Channel, CarriesValuesInOrderThroughAnyCapacity) {
  for (const std::size_t capacity : {0u, 1u, 2u, 3u, 7u, 1000u}) {
    run([&]() -> Task<> {
      Channel<int> channel(capacity);
      EXPECT_GE(channel.capacity(), 1u);
      std::vector<int> got;
      Scope scope;
      scope.spawn(receive_all(channel, got));
      co_await send_all(channel, 0, 500);
      channel.close();
      co_await scope.join();
      EXPECT_EQ(got.size(), 500u);
      for (int i = 0; i < 500; ++i) EXPECT_EQ(got[i], i);
    });
  }
}

TEST(Channel, MoveOnlyValues) {
  run([]() -> Task<> {
    Channel<std::unique_ptr<std::string>> channel(1);
    Scope scope;
    auto sender = [](Channel<std::unique_ptr<std::string>>& c) -> Task<> {
      for (const char* text : {"a", "b", "c"}) co_await c.send(std::make_unique<std::string>(text));
      c.close();
    };
    scope.spawn(sender(channel));
    std::string all;
    while (auto value = co_await channel.receive()) all += **value;
    EXPECT_EQ(all, "abc");
    co_await scope.join();
  });
}

TEST(Channel, ASenderThatComesLaterDoesNotOvertake) {
  run([]() -> Task<> {
    Channel<int> channel(1);
    Scope scope;
    scope.spawn(send_all(channel, 1, 1));
    scope.spawn(send_all(channel, 2, 1));  // waits
    EXPECT_EQ(channel.try_receive(), 1);
    // There was room for a moment; it went to the one that waited.
    int late = 3;
    EXPECT_FALSE(channel.try_send(late));
    EXPECT_EQ(channel.try_receive(), 2);
    co_await scope.join();
  });
}

TEST(Channel, AReceiverThatComesLaterDoesNotOvertake) {
  run([]() -> Task<> {
    Channel<int> channel(4);
    std::vector<int> early;
    Scope scope;
    auto one = [](Channel<int>& c, std::vector<int>& to) -> Task<> { to.push_back((co_await c.receive()).value()); };
    scope.spawn(one(channel, early));
    int value = 7;
    EXPECT_TRUE(channel.try_send(value));
    EXPECT_EQ(channel.try_receive(), std::nullopt);  // it is the waiting receiver's already
    co_await scope.join();
    EXPECT_THAT(early, ElementsAre(7));
  });
}

TEST(Channel, AfterCloseWhatIsLeftIsReceivedAndSendsFail) {
  run([]() -> Task<> {
    Channel<int> channel(2);
    co_await send_all(channel, 1, 2);
    Scope scope;
    auto refused = [](Channel<int>& c) -> Task<> {
      const auto result = co_await as_result(c.send(3));
      EXPECT_EQ(result.error().code(), std::errc::broken_pipe);
    };
    scope.spawn(refused(channel));  // waits for room when the channel is closed
    channel.close();
    channel.close();
    EXPECT_TRUE(channel.closed());
    EXPECT_EQ((co_await as_result(channel.send(4))).error().code(), std::errc::broken_pipe);
    int value = 5;
    EXPECT_FALSE(channel.try_send(value));
    EXPECT_EQ(co_await channel.receive(), 1);
    EXPECT_EQ(co_await channel.receive(), 2);
    EXPECT_EQ(co_await channel.receive(), std::nullopt);
    co_await scope.join();
  });
}

TEST(Channel, CloseWakesWaitingReceivers) {
  run([]() -> Task<> {
    Channel<int> channel(1);
    std::vector<int> got;
    Scope scope;
    scope.spawn(receive_all(channel, got));
    scope.spawn(receive_all(channel, got));
    channel.close();
    co_await scope.join();
    EXPECT_TRUE(got.empty());
  });
}

TEST(Channel, StopsEndWaitsAndLoseNoValue) {
  run([]() -> Task<> {
    Channel<int> channel(1);
    EXPECT_EQ((co_await as_result(with_timeout(1ms, channel.receive()))).error().code(), std::errc::timed_out);
    co_await channel.send(1);
    EXPECT_EQ((co_await as_result(with_timeout(1ms, channel.send(2)))).error().code(), std::errc::timed_out);
    EXPECT_EQ(co_await channel.receive(), 1);
    EXPECT_EQ(channel.try_receive(), std::nullopt);  // the stopped send left nothing behind
  });
}

TEST(Channel, AStopInTheRoundOfTheHandOverIsTooLate) {
  run([]() -> Task<> {
    Channel<int> channel(1);
    std::vector<int> got;
    Scope receivers;
    auto one = [](Channel<int>& c, std::vector<int>& to) -> Task<> { to.push_back((co_await c.receive()).value()); };
    receivers.spawn(one(channel, got));
    int value = 9;
    EXPECT_TRUE(channel.try_send(value));
    receivers.request_stop();
    co_await receivers.join();
    EXPECT_THAT(got, ElementsAre(9));
  });
}

TEST(Channel, AStoppedWaiterDoesNotSwallowTheWakeUpOfTheNext) {
  run([]() -> Task<> {
    Channel<int> channel(1);
    std::vector<int> got;
    Scope stopped;
    Scope others;
    stopped.spawn(receive_all(channel, got));
    others.spawn(receive_all(channel, got));
    stopped.request_stop();
    EXPECT_FALSE((co_await as_result(stopped.join())).has_value());
    co_await send_all(channel, 1, 3);
    channel.close();
    co_await others.join();
    EXPECT_THAT(got, ElementsAre(1, 2, 3));
  });
}

TEST(Channel, WorksInCombinators) {
  run([]() -> Task<> {
    Channel<int> a(1);
    Channel<std::string> b(1);
    co_await b.send("text");
    auto result = co_await when_any(a.receive(), b.receive());
    EXPECT_EQ(result.index(), 1u);
    EXPECT_EQ(std::get<1>(result), "text");
    Scope scope;
    scope.spawn(a.send(4));
    co_await scope.join();
    EXPECT_EQ(co_await a.receive(), 4);
  });
}

TEST(Channel, ATalkThatNeverWaitsDoesNotStarveOthers) {
  run([]() -> Task<> {
    Channel<int> channel(8);
    bool stop = false;
    auto other = CurrentThread::spawn([](bool& flag) -> Task<> {
      co_await sleep_for(1ms);
      flag = true;
    }(stop));
    while (!stop) {
      co_await channel.send(1);
      EXPECT_EQ(co_await channel.receive(), 1);
    }
    co_await std::move(other);
  });
}

TEST(Channel, OnAnotherThreadIsMisuse) {
  OsThread other;
  run([&]() -> Task<> {
    Channel<int> channel(1);
    std::vector<int> got;
    Scope scope;
    scope.spawn(receive_all(channel, got));
    auto misuse = [&]() -> Task<> {
      int value = 1;
      EXPECT_EQ(error_of([&] { channel.try_send(value); }), make_error_code(Misuse::wrong_thread));
      EXPECT_EQ(error_of([&] { channel.try_receive(); }), make_error_code(Misuse::wrong_thread));
      EXPECT_EQ(error_of([&] { channel.close(); }), make_error_code(Misuse::wrong_thread));
      EXPECT_EQ((co_await as_result(channel.send(1))).error().code(), make_error_code(Misuse::wrong_thread));
      EXPECT_EQ((co_await as_result(channel.receive())).error().code(), make_error_code(Misuse::wrong_thread));
    };
    co_await other.handle().call(misuse);
    channel.close();
    co_await scope.join();
    EXPECT_TRUE(got.empty());
  });
}

}  // namespace
}  // namespace spdkio
