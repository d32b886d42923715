#include "rpc/listener.hpp"

#include <spdkio/base/error.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "rpc/test_socket.hpp"

namespace spdkio::rpc {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::string error_of(const std::string& address, int error_number, bool allow_remote = false) {
  try {
    const Listener listener(address, allow_remote);
  } catch (const Error& error) {
    EXPECT_EQ(error.to_errno(), error_number) << error.what();
    return error.what();
  }
  return "listens";
}

int mode_of(const std::string& path) {
  struct stat found{};
  return stat(path.c_str(), &found) == 0 ? static_cast<int>(found.st_mode & 07777) : -1;
}

TEST(Listener, SocketFileIsForItsOwnerOnly) {
  const TempDir dir;
  for (const mode_t mask : {0000, 0022, 0777}) {
    const mode_t before = umask(mask);
    {
      const Listener listener(dir / "s", false);
      umask(before);
      EXPECT_EQ(mode_of(dir / "s"), 0600) << "umask " << mask;
      EXPECT_EQ(mode_of(dir / "s.lock") & 0077, 0) << "umask " << mask;
      RawClient client(dir / "s");
    }
    EXPECT_FALSE(fs::exists(dir / "s"));
    EXPECT_FALSE(fs::exists(dir / "s.lock"));
  }
}

TEST(Listener, OnePathHasOneOwner) {
  const TempDir dir;
  const Listener first(dir / "s", false);
  EXPECT_THAT(error_of(dir / "s", EADDRINUSE), HasSubstr("process " + std::to_string(getpid()) + " serves RPC at"));
  RawClient still_there(dir / "s");
}

TEST(Listener, ALockLikeSpdksKeepsUsOut) {
  const TempDir dir;
  const std::string lock = dir / "s.lock";
  const UniqueFd held(open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(flock(held.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_THAT(error_of(dir / "s", EADDRINUSE), HasSubstr("another process serves RPC"));
  EXPECT_TRUE(fs::exists(lock));
}

TEST(Listener, ReplacesWhatADeadProcessLeft) {
  const TempDir dir;
  const std::string path = dir / "s";
  const pid_t child = fork();
  if (child == 0) {
    new Listener(path, false);  // NOLINT: the process ends without its destructor
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(fs::exists(path));
  ASSERT_TRUE(fs::exists(path + ".lock"));
  const Listener listener(path, false);
  RawClient client(path);
}

TEST(Listener, LeavesAloneWhatSomebodyListensOn) {
  const TempDir dir;
  const SocketAddress where = SocketAddress::parse(dir / "s");
  const UniqueFd other(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(other.get(), where.get(), where.size()), 0);
  ASSERT_EQ(listen(other.get(), 0), 0);
  EXPECT_THAT(error_of(dir / "s", EADDRINUSE), HasSubstr("somebody listens on"));
  EXPECT_TRUE(fs::exists(dir / "s"));
  EXPECT_FALSE(fs::exists(dir / "s.lock"));
}

TEST(Listener, LeavesAloneWhatIsNoSocket) {
  const TempDir dir;
  std::ofstream(dir / "s") << "precious";
  EXPECT_THAT(error_of(dir / "s", EADDRINUSE), HasSubstr("it is not a socket"));
  EXPECT_EQ(fs::file_size(dir / "s"), 8);
  fs::create_symlink(dir / "s", dir / "link");
  EXPECT_THAT(error_of(dir / "link", EADDRINUSE), HasSubstr("it is not a socket"));
}

TEST(Listener, RemovesOnlyItsOwnFile) {
  const TempDir dir;
  {
    const Listener listener(dir / "s", false);
    fs::remove(dir / "s");
    std::ofstream(dir / "s") << "another's";
  }
  EXPECT_TRUE(fs::exists(dir / "s"));
}

TEST(Listener, SaysWhyItCannot) {
  const TempDir dir;
  EXPECT_THAT(error_of(dir / "missing/s", ENOENT), HasSubstr("missing/s.lock"));
  EXPECT_THAT(error_of(dir / std::string(200, 'x'), EINVAL), HasSubstr("may have 107 bytes"));
  fs::create_symlink(dir / "elsewhere", dir / "t.lock");
  EXPECT_THAT(error_of(dir / "t", ELOOP), HasSubstr("t.lock"));
  EXPECT_FALSE(fs::exists(dir / "elsewhere"));
}

TEST(Listener, TcpIsForLoopbackUnlessAllowed) {
  EXPECT_THAT(error_of("0.0.0.0:0", EINVAL), HasSubstr("not a loopback address"));
  EXPECT_EQ(error_of("0.0.0.0:0", EINVAL, true), "listens");
  const Listener listener("127.0.0.1:0", false);
  EXPECT_THAT(listener.address(), ::testing::MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]*"));
  RawClient client(listener.address());
  EXPECT_THAT(error_of(listener.address(), EADDRINUSE), HasSubstr("cannot"));
}

}  // namespace
}  // namespace spdkio::rpc
