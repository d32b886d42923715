
#include "spdkio/rpc/rpc_client.hpp"

#include "spdkio/cli/failure.hpp"
#include "spdkio/rpc/rpc_command.hpp"
#include "spdkio/system/fake_root.hpp"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <functional>
#include <thread>

namespace spdkio::tool {
namespace {

using namespace std::chrono_literals;

// Takes one connection, gives each chunk it receives to `answer`, sends back what that returns; an empty answer closes.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::function<std::string(std::string)> answer) : answer_(std::move(answer)) {
    path_ = (folder_.path() / "rpc.sock").string();
    listener_ = UniqueFd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    thread_ = std::thread{[this] { serve(); }};
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;
  ~ScriptedServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  const std::string& path() const { return path_; }

 private:
  void serve() {
    const UniqueFd connection{::accept(listener_.get(), nullptr, nullptr)};
    char block[4096];
    for (ssize_t n = 0; (n = ::recv(connection.get(), block, sizeof block, 0)) > 0;) {
      const std::string reply = answer_({block, static_cast<std::size_t>(n)});
      if (reply.empty()) return;
      for (const char c : reply) {
        // One byte at a time: answers arrive in pieces.
        if (::send(connection.get(), &c, 1, MSG_NOSIGNAL) != 1) return;
      }
    }
  }

  FakeRoot folder_;
  std::string path_;
  UniqueFd listener_;
  std::function<std::string(std::string)> answer_;
  std::thread thread_;
};

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "no failure";
}

TEST(RpcClient, CallsAndGetsTheResult) {
  std::string seen;
  ScriptedServer server{[&](std::string request) {
    seen += request;
    return std::string{R"({"jsonrpc":"2.0","id":1,"result":{"a":[1,2]}})"};
  }};
  RpcClient client{server.path(), 5s};
  EXPECT_EQ(client.call("m", Json{{"k", 1}}), Json::parse(R"({"a":[1,2]})"));
  EXPECT_EQ(Json::parse(seen), Json::parse(R"({"jsonrpc":"2.0","method":"m","id":1,"params":{"k":1}})"));
}

TEST(RpcClient, ErrorsNameMethodMessageAndCode) {
  ScriptedServer server{[](const std::string&) {
    return std::string{R"({"jsonrpc":"2.0","id":1,"error":{"code":-19,"message":"No such device"}})"};
  }};
  RpcClient client{server.path(), 5s};
  EXPECT_EQ(refusal([&] { client.call("bdev_x"); }), "bdev_x: No such device (code -19)");
}

TEST(RpcClient, LateAnswersOfEarlierCallsAreSkipped) {
  ScriptedServer server{[](const std::string&) {
    return std::string{R"({"jsonrpc":"2.0","id":99,"result":"old"} {"jsonrpc":"2.0","id":1,"result":"mine"})"};
  }};
  RpcClient client{server.path(), 5s};
  EXPECT_EQ(client.call("m"), "mine");
}

TEST(RpcClient, ServersThatMisbehave) {
  const auto with_answer = [](std::string answer) {
    ScriptedServer server{[answer](const std::string&) { return answer; }};
    RpcClient client{server.path(), 200ms};
    return refusal([&] { client.call("m"); });
  };
  EXPECT_NE(with_answer("").find("closed the connection"), std::string::npos);
  EXPECT_NE(with_answer("hello").find("not JSON-RPC"), std::string::npos);
  EXPECT_NE(with_answer("[]").find("not an object"), std::string::npos);
  EXPECT_NE(with_answer(R"({"id":1})").find("without result and error"), std::string::npos);
  EXPECT_NE(with_answer(R"({"id":)").find("did not answer within 0.2 s"), std::string::npos);
}

TEST(RpcClient, SocketsThatAreNone) {
  EXPECT_NE(refusal([] { RpcClient("/nonexistent/rpc.sock", 1s); }).find("No such file"), std::string::npos);
  EXPECT_NE(refusal([] { RpcClient(std::string(200, 'x'), 1s); }).find("no socket path"), std::string::npos);
  EXPECT_NE(refusal([] { RpcClient("", 1s); }).find("no socket path"), std::string::npos);
  FakeRoot folder;
  folder.file("/plain");
  EXPECT_NE(refusal([&] { RpcClient((folder.path() / "plain").string(), 1s); }).find("cannot be reached"),
            std::string::npos);
}

TEST(RpcParams, WordsOrJson) {
  EXPECT_EQ(params_from_words({}), nullptr);
  EXPECT_EQ(params_from_words({"name=Malloc0", "num_blocks=8", "deep=[1]", "eq=a=b", "empty="}),
            Json::parse(R"({"name":"Malloc0","num_blocks":8,"deep":[1],"eq":"a=b","empty":""})"));
  EXPECT_EQ(params_from_words({R"({"a":1})"}), Json::parse(R"({"a":1})"));
  EXPECT_NE(refusal([] { params_from_words({"{"}); }).find("not JSON"), std::string::npos);
  EXPECT_NE(refusal([] { params_from_words({"{}", "a=1"}); }).find("not both"), std::string::npos);
  EXPECT_NE(refusal([] { params_from_words({"word"}); }).find("'word' is not key=value"), std::string::npos);
  EXPECT_NE(refusal([] { params_from_words({"a=1", "a=2"}); }).find("given twice"), std::string::npos);
}

}  // namespace
}  // namespace spdkio::tool
