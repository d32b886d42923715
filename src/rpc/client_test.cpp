#include <spdkio/rpc/client.hpp>

#include <spdkio/runtime/block_on.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "rpc/listener.hpp"
#include "rpc/test_socket.hpp"

namespace spdkio::rpc {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

/// A server that answers what it is told to, once.
class Scripted {
 public:
  explicit Scripted(std::string answer) : listener_(dir_ / "s", false) {
    thread_ = std::thread([this, answer = std::move(answer)] {
      pollfd waiting{.fd = listener_.fd(), .events = POLLIN, .revents = 0};
      poll(&waiting, 1, 60'000);
      const UniqueFd client(accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      char bytes[4096];
      if (recv(client.get(), bytes, sizeof bytes, 0) <= 0) return;
      if (::send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
      shutdown(client.get(), SHUT_WR);
      while (recv(client.get(), bytes, sizeof bytes, 0) > 0) {
      }
    });
  }
  ~Scripted() { thread_.join(); }
  const std::string& address() const { return listener_.address(); }

 private:
  TempDir dir_;
  Listener listener_;
  std::thread thread_;
};

std::string error_of(const std::string& answer, int error_number) {
  const Scripted server(answer);
  auto client = Client::connect(server.address());
  EXPECT_TRUE(client);
  const auto result = client->call("m");
  if (result) return "result " + dump_json(*result);
  EXPECT_EQ(result.error().to_errno(), error_number) << result.error().what();
  EXPECT_EQ(result.error().operation(), "m");
  return result.error().what();
}

TEST(RpcClient, TakesResultsAndErrors) {
  EXPECT_EQ(error_of(R"({"jsonrpc":"2.0","id":1,"result":[1]})", 0), "result [1]");
  EXPECT_THAT(error_of(R"({"jsonrpc":"2.0","id":1,"error":{"code":-19,"message":"No such device"}})", ENODEV),
              HasSubstr("No such device"));
  EXPECT_THAT(error_of(R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}})", EPROTO),
              HasSubstr("Parse error"));
}

TEST(RpcClient, RefusesBadAnswers) {
  EXPECT_THAT(error_of("not JSON", EPROTO), HasSubstr("expected null"));
  EXPECT_THAT(error_of("[]", EPROTO), HasSubstr("not an object"));
  EXPECT_THAT(error_of("{\"id\":1}", EPROTO), HasSubstr("no result"));
  EXPECT_THAT(error_of(R"({"id":2,"result":1})", EPROTO), HasSubstr("another request"));
  EXPECT_THAT(error_of(R"({"id":null,"result":1})", EPROTO), HasSubstr("another request"));
  EXPECT_THAT(error_of(R"({"id":1,"error":7})", EPROTO), HasSubstr("not an object"));
  EXPECT_THAT(error_of("", ECONNRESET), HasSubstr("closed the connection without an answer"));
  EXPECT_THAT(error_of("{\"id\":1,", ECONNRESET), HasSubstr("closed the connection"));
}

TEST(RpcClient, SaysWhenNobodyListens) {
  const TempDir dir;
  const auto missing = Client::connect(dir / "s");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().to_errno(), ENOENT);
  EXPECT_THAT(missing.error().hint(), HasSubstr("is the application running"));
  EXPECT_EQ(Client::connect("nonsense:99999").error().to_errno(), EINVAL);
}

TEST(RpcClient, WaitsForAServerOnRequest) {
  const TempDir dir;
  EXPECT_EQ(Client::connect(dir / "s", {.connect_timeout = 30ms, .wait_for_server = true}).error().to_errno(), ENOENT);
  std::optional<Listener> listener;
  std::thread later([&] {
    std::this_thread::sleep_for(50ms);
    listener.emplace(dir / "s", false);
  });
  EXPECT_TRUE(Client::connect(dir / "s", {.connect_timeout = 60s, .wait_for_server = true}));
  later.join();
}

TEST(RpcClient, GivesUpAfterTheTimeout) {
  const TempDir dir;
  const Listener silent(dir / "s", false);
  auto client = Client::connect(silent.address(), {.call_timeout = 20ms});
  ASSERT_TRUE(client);
  const auto result = client->call("m");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().to_errno(), ETIMEDOUT);
  EXPECT_EQ(result.error().outcome(), Outcome::may_have_executed);
  EXPECT_EQ(client->call("m").error().to_errno(), ENOTCONN);
}

Task<int> connect_inside(const std::string& address) { co_return Client::connect(address).error().code().value(); }

TEST(RpcClient, DoesNotBlockAThread) {
  EXPECT_EQ(block_on(connect_inside("/nowhere")), static_cast<int>(Misuse::would_block));
}

}  // namespace
}  // namespace spdkio::rpc
