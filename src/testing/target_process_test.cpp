#include <spdkio/testing/target_process.hpp>

#include <spdkio/base/error.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>

#include "nvme/tcp/socket_address.hpp"

namespace spdkio::testing {
namespace {

using ::testing::HasSubstr;

/// The program of the same build.
TargetProcessOptions of_this_build() {
  const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  TargetProcessOptions options;
  options.program = here / "bin" / "spdkio";
  options.devices = {"malloc:1MiB"};
  return options;
}

bool answers(const nvme::TransportId& where) {
  const auto address = nvme::tcp::SocketAddress::parse(where.traddr, where.port());
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(fd.get(), address->get(), address->size()) == 0;
}

TEST(TargetProcess, ListensUntilItIsStopped) {
  TargetProcess target = TargetProcess::start(of_this_build());
  EXPECT_TRUE(target.running());
  EXPECT_NE(target.port(), 0);
  EXPECT_EQ(target.transport_id().subnqn, "nqn.2026-11.io.spdkio:test-target");
  EXPECT_TRUE(answers(target.transport_id()));
  EXPECT_EQ(target.stop(), 0);
  EXPECT_FALSE(target.running());
  EXPECT_FALSE(answers(target.transport_id()));
  EXPECT_EQ(target.stop(), 0);
}

TEST(TargetProcess, StartsAgainOnItsPort) {
  TargetProcess target = TargetProcess::start(of_this_build());
  const auto port = target.port();
  target.kill();
  EXPECT_FALSE(answers(target.transport_id()));
  target.restart();
  EXPECT_EQ(target.port(), port);
  EXPECT_TRUE(answers(target.transport_id()));
  const TargetProcess moved = std::move(target);
  EXPECT_TRUE(moved.running());
}

TEST(TargetProcess, SaysWhatWentWrong) {
  auto options = of_this_build();
  options.devices = {"malloc:what"};
  try {
    TargetProcess::start(options);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("malloc:what"));
  }
  options.program = "/no/such/program";
  try {
    TargetProcess::start(options);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    EXPECT_THAT(error.what(), HasSubstr("/no/such/program"));
  }
}

}  // namespace
}  // namespace spdkio::testing
