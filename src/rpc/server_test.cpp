#include <spdkio/rpc/server.hpp>

#include <spdkio/base/log.hpp>
#include <spdkio/rpc/client.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/thread.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "rpc/test_socket.hpp"

namespace spdkio::rpc {
namespace server_test {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Text {
  std::string text;
  void fields(Params& p) { p.required("text", &text); }
};
struct Number {
  std::uint64_t value = 0;
  void fields(Params& p) { p.required("value", &value); }
};

/// A server on an OS thread of its own.
class ServerTest : public ::testing::Test {
 public:
  ~ServerTest() override { stop(); }

  void start() {
    if (options.address == default_address) options.address = dir / "rpc.sock";
    std::promise<void> started;
    thread_ = std::thread([&] {
      try {
        block_on(run(started));
      } catch (...) {
        started.set_exception(std::current_exception());
      }
    });
    started.get_future().get();
  }

  void stop() {
    if (!thread_.joinable()) return;
    EXPECT_TRUE(handle_.send([this] { stop_->set(); }));
    thread_.join();
  }

  /// Runs on the server's Thread.
  template <class F>
  auto ask(F fn) {
    std::promise<decltype(fn())> answer;
    EXPECT_TRUE(handle_.send([&] { answer.set_value(fn()); }));
    return answer.get_future().get();
  }
  bool wait_until(const std::function<bool()>& on_server) {
    for (int i = 0; i < 6000; ++i) {
      if (ask(on_server)) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }
  bool wait_for_connections(std::size_t count) {
    return wait_until([&] { return server_->connections() == count; });
  }

  Client client() {
    auto made = Client::connect(address);
    if (!made) throw made.error();
    return std::move(*made);
  }

  TempDir dir;
  ServerOptions options;
  std::chrono::nanoseconds grace = 10s;
  std::string address;
  std::atomic<int> calls{0};
  std::atomic<int> finished{0};

 protected:
  Task<> run(std::promise<void>& started) {
    Event stop;
    Event release;
    stop_ = &stop;
    release_ = &release;
    handle_ = CurrentThread::handle();
    MethodTable table;
    table.add<Text>("echo", "Give the text back", [this](Text p) { return echo(p); });
    table.add<Number>("repeat", "A string of that length", [this](Number p) { return repeat(p); });
    table.add("hold", "Wait until released", [this] { return hold(); });
    add_rpc_methods(table, [] { return RpcState::runtime; });
    Dispatcher dispatcher(table);
    Server server = Server::listen(dispatcher, options);
    server_ = &server;
    address = server.address();
    started.set_value();
    co_await stop.wait();
    co_await server.close(grace);
    EXPECT_EQ(server.connections(), 0);
  }
  Task<Json> echo(Text p) {
    ++calls;
    co_return Json(p.text);
  }
  Task<Json> repeat(Number p) {
    ++calls;
    co_return Json(std::string(p.value, 'x'));
  }
  Task<Json> hold() {
    ++calls;
    co_await release_->wait();
    ++finished;
    co_return Json("released");
  }

  std::thread thread_;
  ThreadHandle handle_;
  Event* stop_ = nullptr;
  Event* release_ = nullptr;
  Server* server_ = nullptr;
};

std::string echo_request(int id, const std::string& text = "hi") {
  return R"({"jsonrpc":"2.0","method":"echo","params":{"text":")" + text + R"("},"id":)" + std::to_string(id) + "}";
}
std::string echo_answer(int id, const std::string& text = "hi") {
  return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"result":")" + text + "\"}";
}

TEST_F(ServerTest, AnswersAClient) {
  start();
  Client c = client();
  EXPECT_EQ(c.call("echo", {{"text", "hé"}}).value(), "hé");
  EXPECT_THAT(c.call("rpc_get_methods").value(), ::testing::SizeIs(5));
  const auto unknown = c.call("ehco");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().to_errno(), ENOSYS);
  EXPECT_THAT(unknown.error().what(), HasSubstr("Method not found: \"ehco\", did you mean \"echo\"?"));
  EXPECT_EQ(c.request("echo", Json::object()).value().at("error").at("code"), -32602);
  EXPECT_EQ(c.call("echo", {{"text", "still there"}}).value(), "still there");
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  start();
  RawClient c(address);
  std::string all;
  for (int i = 0; i < 200; ++i) all += echo_request(i) + (i % 3 == 0 ? "\n" : "");
  ASSERT_TRUE(c.send(all));
  for (int i = 0; i < 200; ++i) ASSERT_EQ(c.line(), echo_answer(i));
}

TEST_F(ServerTest, ASlowRequestHoldsUpItsOwnConnectionOnly) {
  start();
  RawClient slow(address);
  ASSERT_TRUE(slow.send(R"({"method":"hold","id":1})" + echo_request(2)));
  ASSERT_TRUE(wait_until([this] { return calls == 1; }));
  EXPECT_EQ(client().call("echo", {{"text", "x"}}).value(), "x");
  EXPECT_EQ(calls, 2);
  ask([this] { return release_->set(), 0; });
  EXPECT_EQ(slow.line(), R"({"jsonrpc":"2.0","id":1,"result":"released"})");
  EXPECT_EQ(slow.line(), echo_answer(2));
}

TEST_F(ServerTest, RequestsMayComeByteByByte) {
  start();
  RawClient c(address);
  for (const char byte : echo_request(1) + "\n" + echo_request(2)) ASSERT_TRUE(c.send(std::string_view(&byte, 1)));
  EXPECT_EQ(c.line(), echo_answer(1));
  EXPECT_EQ(c.line(), echo_answer(2));
}

TEST_F(ServerTest, Batches) {
  start();
  RawClient c(address);
  ASSERT_TRUE(c.send("[" + echo_request(1) + R"(,{"method":"echo","params":{"text":"n"}},)" + echo_request(2) + "]"));
  EXPECT_EQ(c.line(), "[" + echo_answer(1) + "," + echo_answer(2) + "]");
  ASSERT_TRUE(c.send(R"([{"method":"echo","params":{"text":"n"}}][]5 )"));
  EXPECT_THAT(c.line(), HasSubstr("a batch must hold a request"));
  EXPECT_THAT(c.line(), HasSubstr("a request is an object"));
  ASSERT_TRUE(c.send(echo_request(3)));
  EXPECT_EQ(c.line(), echo_answer(3));
}

TEST_F(ServerTest, GarbageEndsTheConnectionWithAnAnswer) {
  start();
  RawClient c(address);
  ASSERT_TRUE(c.send(echo_request(1) + "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_EQ(c.line(), echo_answer(1));
  EXPECT_EQ(c.line(), R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,)"
                      R"("message":"Parse error: 2:1: expected a value, found 'G'"}})");
  EXPECT_EQ(c.line(), "<end>");
  for (const std::string& bad : {std::string("\0\0\0\0", 4), std::string("{\"a\":\xFF\xFE"), std::string(100000, '['),
                                 std::string("{\"id\":1,\"id\":2}")}) {
    RawClient other(address);
    other.send(bad);
    EXPECT_THAT(other.line(), HasSubstr(R"("code":-32700)"));
    EXPECT_EQ(other.line(), "<end>");
  }
  EXPECT_TRUE(client().call("echo", {{"text", "x"}}));
}

TEST_F(ServerTest, GiantRequestsAreCutOff) {
  options.limits.max_bytes = 10000;
  start();
  RawClient c(address);
  const std::string chunk(65536, 'x');
  c.send(R"({"method":"echo","params":{"text":")");
  for (int i = 0; i < 1000 && c.send(chunk); ++i) {
  }
  EXPECT_THAT(c.line(), HasSubstr("a value may have 10000 bytes, not more"));
  EXPECT_TRUE(wait_for_connections(0));
  EXPECT_EQ(client().call("echo", {{"text", std::string(9000, 'y')}}).value(), std::string(9000, 'y'));
}

TEST_F(ServerTest, LongAnswersAreReplaced) {
  options.max_response_bytes = 1000;
  start();
  Client c = client();
  const auto answer = c.request("repeat", {{"value", 2000}});
  EXPECT_EQ(answer.value().at("error").at("code"), code::internal_error);
  EXPECT_EQ(c.call("repeat", {{"value", 100}}).value(), std::string(100, 'x'));
}

TEST_F(ServerTest, ClientsThatLeaveEarlyAreForgotten) {
  start();
  RawClient(address).send("{\"method\":\"ec");
  RawClient(address).send("");
  {
    RawClient c(address);
    c.send(R"({"method":"hold","id":1})" + echo_request(2));
    ASSERT_TRUE(wait_until([this] { return calls == 1; }));
  }
  ASSERT_TRUE(wait_for_connections(1));
  ask([this] { return release_->set(), 0; });
  EXPECT_TRUE(wait_for_connections(0));
  EXPECT_EQ(finished, 1);
}

TEST_F(ServerTest, HalfClosedClientsGetTheirAnswers) {
  start();
  RawClient c(address);
  ASSERT_TRUE(c.send(R"({"method":"hold","id":1})" + echo_request(2) + echo_request(3)));
  c.end_of_input();
  ASSERT_TRUE(wait_until([this] { return calls == 1; }));
  ask([this] { return release_->set(), 0; });
  EXPECT_THAT(c.line(), HasSubstr("released"));
  EXPECT_EQ(c.line(), echo_answer(2));
  EXPECT_EQ(c.line(), echo_answer(3));
  EXPECT_EQ(c.line(), "<end>");
}

TEST_F(ServerTest, ASlowReaderMakesNobodyWaitAndNothingPileUp) {
  start();
  constexpr int requests = 100;
  RawClient c(address);
  std::string all;
  for (int i = 0; i < requests; ++i)
    all += R"({"method":"repeat","params":{"value":1000000},"id":)" + std::to_string(i) + "}";
  ASSERT_TRUE(c.send(all));
  ASSERT_TRUE(wait_until([this] { return calls > 0; }));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(client().call("echo", {{"text", "x"}}));
  EXPECT_LT(calls, requests + 20);
  for (int i = 0; i < requests; ++i) {
    const std::string line = c.line();
    ASSERT_GT(line.size(), 1000000);
    ASSERT_THAT(line.substr(0, 40), StartsWith(R"({"jsonrpc":"2.0","id":)" + std::to_string(i) + ","));
  }
}

TEST_F(ServerTest, AClientThatNeverReadsIsDropped) {
  options.stall_limit = 50ms;
  start();
  RawClient c(address);
  std::string all;
  for (int i = 0; i < 20; ++i) all += R"({"method":"repeat","params":{"value":1000000},"id":1})";
  c.send(all);
  ASSERT_TRUE(wait_until([this] { return calls > 0; }));
  EXPECT_TRUE(wait_for_connections(0));
}

TEST_F(ServerTest, AHundredClients) {
  start();
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 100; ++t) {
    threads.emplace_back([&, t] {
      Client c = client();
      for (int i = 0; i < 20; ++i) {
        const std::string text = std::to_string(t * 1000 + i);
        const auto got = c.call("echo", {{"text", text}});
        if (got && *got == text) ++right;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 2000);
  EXPECT_TRUE(wait_for_connections(0));
}

TEST_F(ServerTest, MoreClientsThanAllowedWaitTheirTurn) {
  options.max_connections = 2;
  start();
  RawClient first(address);
  RawClient second(address);
  ASSERT_TRUE(first.send(echo_request(1)));
  ASSERT_TRUE(second.send(echo_request(2)));
  EXPECT_EQ(first.line(), echo_answer(1));
  EXPECT_EQ(second.line(), echo_answer(2));
  RawClient third(address);
  ASSERT_TRUE(third.send(echo_request(3)));
  EXPECT_EQ(ask([this] { return server_->connections(); }), 2);
  first.close();
  EXPECT_EQ(third.line(), echo_answer(3));
}

TEST_F(ServerTest, CloseLetsRequestsFinish) {
  start();
  RawClient busy(address);
  RawClient idle(address);
  ASSERT_TRUE(busy.send(R"({"method":"hold","id":1})" + echo_request(2)));
  ASSERT_TRUE(wait_until([this] { return calls == 1 && server_->connections() == 2; }));
  EXPECT_TRUE(handle_.send([this] { stop_->set(); }));
  EXPECT_EQ(idle.line(), "<end>");
  EXPECT_FALSE(std::filesystem::exists(address));
  ask([this] { return release_->set(), 0; });
  EXPECT_THAT(busy.line(), HasSubstr("released"));
  EXPECT_EQ(busy.line(), "<end>");
  thread_.join();
  EXPECT_EQ(calls, 1);
}

TEST_F(ServerTest, CloseStopsRequestsThatTakeTooLong) {
  grace = 20ms;
  start();
  RawClient c(address);
  ASSERT_TRUE(c.send(R"({"method":"hold","id":1})"));
  ASSERT_TRUE(wait_until([this] { return calls == 1; }));
  stop();
  EXPECT_THAT(c.line(), HasSubstr(R"("id":1,"error":{"code":-125)"));
  EXPECT_EQ(c.line(), "<end>");
  EXPECT_EQ(finished, 0);
}

TEST_F(ServerTest, ListensOnTcp) {
  options.address = "127.0.0.1:0";
  start();
  EXPECT_THAT(address, StartsWith("127.0.0.1:"));
  EXPECT_EQ(client().call("echo", {{"text", "x"}}).value(), "x");
  RawClient c(address);
  c.send("garbage that goes on" + std::string(100000, 'x'));
  EXPECT_THAT(c.line(), HasSubstr("-32700"));
  EXPECT_EQ(c.line(), "<end>");
}

TEST_F(ServerTest, SleepsWhenIdle) {
  start();
  Client c = client();
  ASSERT_TRUE(c.call("echo", {{"text", "x"}}));
  // Nothing but a message or a client ends its sleep.
  EXPECT_LT(ask([] { return spdkio::detail::ThreadCore::current()->next_wait().count(); }), 0);
}

Task<int> listen_error(std::string address) {
  MethodTable table;
  Dispatcher dispatcher(table);
  try {
    Server server = Server::listen(dispatcher, {.address = address});
  } catch (const Error& error) {
    co_return error.to_errno();
  }
  co_return 0;
}

TEST_F(ServerTest, AnAddressInUseIsRefused) {
  start();
  EXPECT_EQ(block_on(listen_error(address)), EADDRINUSE);
  EXPECT_TRUE(client().call("echo", {{"text", "x"}}));
}

Task<Json> sleep_long() {
  co_await sleep_for(std::chrono::hours(1));
  co_return Json();
}

Task<> drop_without_close(const std::string& path, bool with_client) {
  MethodTable table;
  table.add("sleep", "Sleep", [] { return sleep_long(); });
  Dispatcher dispatcher(table);
  std::optional<RawClient> client;
  {
    Server server = Server::listen(dispatcher, {.address = path});
    if (with_client) {
      client.emplace(path);
      client->send(R"({"method":"sleep","id":1})");
      while (server.connections() == 0) co_await sleep_for(1ms);
      co_await sleep_for(5ms);
    }
  }
  // What was running ends in its own time, with the dispatcher still there.
  for (int i = 0; i < 100; ++i) co_await yield();
  if (client) {
    EXPECT_THAT(client->line(), ::testing::AnyOf(HasSubstr("-125"), "<end>"));
  }
}

TEST(Server, DroppedWithoutCloseSaysSoAndLeaksNothing) {
  const TempDir dir;
  std::mutex mutex;
  std::string logged;
  log::set_sink([&](log::Level level, std::string_view text) {
    const std::lock_guard lock(mutex);
    if (level >= log::Level::error) logged += std::string(text) + "\n";
  });
  block_on(drop_without_close(dir / "s", false));
  block_on(drop_without_close(dir / "s", true));
  log::set_sink({});
  EXPECT_THAT(logged, HasSubstr("destroyed without close(); 1 connection(s) are dropped"));
  EXPECT_FALSE(std::filesystem::exists(dir / "s"));
}

TEST(Server, NeedsAThread) {
  const TempDir dir;
  MethodTable table;
  Dispatcher dispatcher(table);
  EXPECT_THROW((void)Server::listen(dispatcher, {.address = dir / "s"}), Error);
  EXPECT_FALSE(std::filesystem::exists(dir / "s"));
}

}  // namespace server_test
}  // namespace spdkio::rpc
