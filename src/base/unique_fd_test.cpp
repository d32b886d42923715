#include <spdkio/base/unique_fd.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <type_traits>
#include <utility>

namespace spdkio {
namespace {

static_assert(!std::is_copy_constructible_v<UniqueFd>);
static_assert(std::is_nothrow_move_constructible_v<UniqueFd>);
static_assert(!std::is_convertible_v<int, UniqueFd>);

int open_null() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

TEST(UniqueFd, ClosesWhenDestroyed) {
  const int fd = open_null();
  {
    const UniqueFd owner{fd};
    EXPECT_TRUE(owner);
    EXPECT_EQ(owner.get(), fd);
    EXPECT_TRUE(is_open(fd));
  }
  EXPECT_FALSE(is_open(fd));
}

TEST(UniqueFd, NegativeNumbersAreNone) {
  EXPECT_FALSE(UniqueFd{});
  EXPECT_FALSE(UniqueFd{-5});
  EXPECT_EQ(UniqueFd{-5}.get(), -1);
}

TEST(UniqueFd, MovesItsDescriptor) {
  UniqueFd a{open_null()};
  const int fd = a.get();
  UniqueFd b{std::move(a)};
  EXPECT_EQ(b.get(), fd);
  UniqueFd c{open_null()};
  const int replaced = c.get();
  c = std::move(b);
  EXPECT_EQ(c.get(), fd);
  EXPECT_TRUE(is_open(fd));
  EXPECT_FALSE(is_open(replaced));
  UniqueFd& same = c;
  c = std::move(same);
  EXPECT_EQ(c.get(), fd);
  EXPECT_TRUE(is_open(fd));
}

TEST(UniqueFd, ReleasesAndResets) {
  UniqueFd owner{open_null()};
  const int fd = owner.release();
  EXPECT_FALSE(owner);
  EXPECT_TRUE(is_open(fd));
  owner.reset(fd);
  EXPECT_EQ(owner.get(), fd);
  errno = 77;
  owner.reset();
  EXPECT_EQ(errno, 77);
  EXPECT_FALSE(owner);
  EXPECT_FALSE(is_open(fd));
}

TEST(UniqueFd, CloseTellsTheError) {
  UniqueFd owner{open_null()};
  EXPECT_EQ(owner.close(), 0);
  EXPECT_FALSE(owner);
  EXPECT_EQ(owner.close(), 0);
  UniqueFd bad{1 << 29};
  EXPECT_EQ(bad.close(), EBADF);
  EXPECT_FALSE(bad);
}

}  // namespace
}  // namespace spdkio
