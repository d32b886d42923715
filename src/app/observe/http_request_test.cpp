#include "app/observe/http_request.hpp"

#include <gtest/gtest.h>

#include <string>

namespace spdkio::app {
namespace {

HttpRefusal refusal(std::string_view bytes) {
  const auto read = read_http_request(bytes);
  if (read) {
    ADD_FAILURE() << "was not refused: " << bytes;
    return {};
  }
  return read.error();
}

TEST(HttpRequest, MethodAndPath) {
  const auto read = read_http_request("GET /metrics?name=x HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\nrest");
  ASSERT_TRUE(read.has_value());
  ASSERT_TRUE(read->has_value());
  EXPECT_EQ((*read)->method, "GET");
  EXPECT_EQ((*read)->path, "/metrics");
}

TEST(HttpRequest, LineEndsOfOldClients) {
  const auto read = read_http_request("HEAD / HTTP/1.0\n\n");
  ASSERT_TRUE(read.has_value() && read->has_value());
  EXPECT_EQ((*read)->method, "HEAD");
  EXPECT_EQ((*read)->path, "/");
}

TEST(HttpRequest, EveryPrefixIsIncomplete) {
  const std::string whole = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto read = read_http_request(whole.substr(0, length));
    ASSERT_TRUE(read.has_value()) << length;
    EXPECT_FALSE(read->has_value()) << length;
  }
}

TEST(HttpRequest, Refused) {
  EXPECT_EQ(refusal("\r\n\r\n"), HttpRefusal::bad_request);
  EXPECT_EQ(refusal("GET\r\n\r\n"), HttpRefusal::bad_request);
  EXPECT_EQ(refusal("GET /\r\n\r\n"), HttpRefusal::bad_request);
  EXPECT_EQ(refusal("GET metrics HTTP/1.1\r\n\r\n"), HttpRefusal::bad_request);
  EXPECT_EQ(refusal("GET http://x/metrics HTTP/1.1\r\n\r\n"), HttpRefusal::bad_request);
  EXPECT_EQ(refusal("G\x01T / HTTP/1.1\r\n\r\n"), HttpRefusal::bad_request);
  EXPECT_EQ(refusal("GET /a b HTTP/1.1\r\n\r\n"), HttpRefusal::bad_request);
  EXPECT_EQ(refusal(std::string("GET /\0 HTTP/1.1\r\n\r\n", 20)), HttpRefusal::bad_request);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nno colon\r\n\r\n"), HttpRefusal::bad_request);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\n folded: x\r\n\r\n"), HttpRefusal::bad_request);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\na: \x7F\r\n\r\n"), HttpRefusal::bad_request);
  EXPECT_EQ(refusal("GET / HTTP/2.0\r\n\r\n"), HttpRefusal::version_not_supported);
  EXPECT_EQ(refusal("GET / SMTP\r\n\r\n"), HttpRefusal::bad_request);
  EXPECT_EQ(refusal(std::string(max_http_head_bytes, 'A')), HttpRefusal::head_too_large);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\n" + std::string(max_http_head_bytes, 'a') + ": x\r\n\r\n"),
            HttpRefusal::head_too_large);
}

TEST(HttpResponse, HeadHasTheLengthOnly) {
  const std::string full = http_response(200, "text/plain", "body");
  EXPECT_TRUE(full.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_NE(full.find("Content-Length: 4\r\n"), std::string::npos);
  EXPECT_TRUE(full.ends_with("\r\n\r\nbody"));
  const std::string head = http_response(200, "text/plain", "body", true);
  EXPECT_NE(head.find("Content-Length: 4\r\n"), std::string::npos);
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  EXPECT_NE(http_response(405, "text/plain", "").find("Allow: GET, HEAD\r\n"), std::string::npos);
}

}  // namespace
}  // namespace spdkio::app
