#include "rpc/socket_address.hpp"

#include <spdkio/base/error.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spdkio::rpc {
namespace {

using ::testing::HasSubstr;

std::string error_of(std::string_view text) {
  try {
    return "accepted as " + SocketAddress::parse(text).to_string();
  } catch (const Error& error) {
    EXPECT_TRUE(error.is_misuse());
    return error.what();
  }
}

TEST(SocketAddress, ReadsPathsAndIpAddresses) {
  for (const char* path : {"/var/tmp/spdk.sock", "spdk.sock", "./a:1", "dir:1/x:2", "no:port", "colon:"}) {
    EXPECT_TRUE(SocketAddress::parse(path).is_unix()) << path;
    EXPECT_EQ(SocketAddress::parse(path).to_string(), path);
  }
  for (const char* ip : {"127.0.0.1:0", "10.1.2.3:65535", "[::1]:5260", "[fe80::1]:1"}) {
    EXPECT_FALSE(SocketAddress::parse(ip).is_unix()) << ip;
    EXPECT_EQ(SocketAddress::parse(ip).to_string(), ip);
  }
}

TEST(SocketAddress, KnowsLoopback) {
  for (const char* text : {"/tmp/x", "127.0.0.1:1", "127.3.2.1:1", "[::1]:1"}) {
    EXPECT_TRUE(SocketAddress::parse(text).is_loopback()) << text;
  }
  for (const char* text : {"0.0.0.0:1", "192.168.0.1:1", "[::]:1", "[::ffff:127.0.0.1]:1"}) {
    EXPECT_FALSE(SocketAddress::parse(text).is_loopback()) << text;
  }
}

TEST(SocketAddress, SaysWhatIsWrong) {
  EXPECT_THAT(error_of(""), HasSubstr("empty"));
  EXPECT_THAT(error_of(std::string(108, 'x')), HasSubstr("may have 107 bytes, this one has 108"));
  EXPECT_THAT(error_of(std::string(107, 'x')), HasSubstr("accepted"));
  EXPECT_THAT(error_of(std::string_view("a\0b", 3)), HasSubstr("NUL"));
  EXPECT_THAT(error_of("127.0.0.1:65536"), HasSubstr("port from 0 to 65535"));
  EXPECT_THAT(error_of("localhost:80"), HasSubstr("not a numeric IPv4 address"));
  EXPECT_THAT(error_of("::1:80"), HasSubstr("IPv6 needs [brackets]"));
  EXPECT_THAT(error_of("[::1]"), HasSubstr("RPC address"));
  EXPECT_THAT(error_of("[::1]80"), HasSubstr("RPC address"));
  EXPECT_THAT(error_of("[::1]:"), HasSubstr("port from 0"));
  EXPECT_THAT(error_of("[:80"), HasSubstr("[address]:port"));
  EXPECT_THAT(error_of("["), HasSubstr("RPC address"));
  EXPECT_THAT(error_of("[]:1"), HasSubstr("not a numeric IPv6 address"));
  EXPECT_THAT(error_of("[1.2.3.4]:1"), HasSubstr("not a numeric IPv6 address"));
}

}  // namespace
}  // namespace spdkio::rpc
