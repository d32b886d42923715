// The server by itself, with a page that the test makes.
#include "app/observe/metrics_server.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/thread.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "app/observe/http_client_for_test.hpp"
#include "runtime/test_support.hpp"

namespace spdkio::app {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

Task<std::string> page() {
  co_await yield();
  co_return "up 1\n";
}

/// A server on a Thread of its own.
class MetricsServerTest : public testing::Test {
 protected:
  void start(MetricsServer::Collect collect) { thread_.handle().spawn(listen(*this, std::move(collect))).wait(); }
  void TearDown() override {
    if (server_) thread_.handle().spawn(close(*this)).wait();
  }
  std::string get(std::string_view request) const { return ask_server(address_, request); }

  runtime_test::OsThread thread_{"metrics test"};
  std::optional<MetricsServer> server_;  // of that Thread
  std::string address_;

 private:
  static Task<> listen(MetricsServerTest& self, MetricsServer::Collect collect) {
    MetricsServerOptions options{.address = "127.0.0.1:0", .client_limit = 100ms};
    self.server_.emplace(MetricsServer::listen(std::move(options), std::move(collect)));
    self.address_ = self.server_->address();
    co_return;
  }
  static Task<> close(MetricsServerTest& self) {
    co_await self.server_->close();
    self.server_.reset();
  }
};

TEST_F(MetricsServerTest, OnePagePerConnection) {
  start(page);
  for (int i = 0; i < 50; ++i) {
    const std::string answer = get("GET /metrics HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_TRUE(answer.ends_with("\r\n\r\nup 1\n")) << answer;
  }
}

TEST_F(MetricsServerTest, RefusesWhatItDoesNotServe) {
  start(page);
  EXPECT_THAT(get("GET /other HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(get("PUT /metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(get(std::string(100, '\xFF') + "\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(get("GET /" + std::string(9000, 'a')), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(get("GET /metrics HTTP/1.1\r\n\r\n"), HasSubstr("up 1"));
}

TEST_F(MetricsServerTest, ClientsThatSayNothingAreDroppedAndHoldNobodyUp) {
  start(page);
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 40; ++i) silent.push_back(connect_to(address_));  // more than are served at once
  EXPECT_THAT(get("GET /metrics HTTP/1.1\r\n\r\n"), HasSubstr("up 1"));
}

TEST_F(MetricsServerTest, APageThatCannotBeMade) {
  start([]() -> Task<std::string> {
    co_await yield();
    throw Error(std::errc::no_such_device, "nothing to count");
  });
  const std::string answer = get("GET /metrics HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(answer, HasSubstr("nothing to count"));
}

TEST_F(MetricsServerTest, CloseDropsTheClients) {
  start(page);
  const UniqueFd silent = connect_to(address_);
  TearDown();
  EXPECT_EQ(ask_server(address_, "GET /metrics HTTP/1.1\r\n\r\n"), "no connection");
}

}  // namespace
}  // namespace spdkio::app
