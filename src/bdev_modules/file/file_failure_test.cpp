// What happens when the file, the disk or the kernel does not do what it should.

#include <spdkio/runtime/scope.hpp>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "bdev_modules/file/file_test_fixture.hpp"

namespace spdkio::bdev::file::test {
namespace {

using ::testing::HasSubstr;

class FileFailureTest : public FileTest {
 protected:
  /// A small tmpfs; false where this process may not mount.
  bool mount_small(const std::string& where, const char* mount_options) {
    std::filesystem::create_directory(where);
    if (::mount("tmpfs", where.c_str(), "tmpfs", 0, mount_options) != 0) return false;
    mounted_ = where;
    return true;
  }
  void TearDown() override {
    stop_engine();
    if (!mounted_.empty()) ::umount2(mounted_.c_str(), MNT_DETACH);
    FileTest::TearDown();
  }
  std::string mounted_;
};
SPDKIO_FILE_TESTS(FileFailureTest);

Task<Error> error_of(IoOperation<> operation) {
  auto result = co_await as_result(operation);
  if (!result) co_return result.error();
  ADD_FAILURE() << "expected a failure";
  co_return Error(std::errc::state_not_recoverable);
}

TEST_P(FileFailureTest, AFileThatWasShortened) {
  const std::string file = make_file("disk", 4 << 20);
  with_device(options(file), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    DmaBuf data{1 << 20};
    EXPECT_EQ(::truncate(file.c_str(), 2 << 20), 0);
    co_await desc.read(channel, data, ByteOffset{0});  // what is left still works
    const Error behind = co_await error_of(desc.read(channel, data, ByteOffset{3 << 20}));
    EXPECT_EQ(behind.code(), std::errc::io_error);
    EXPECT_EQ(behind.device(), "File0");
    // Across the new end, also where that is inside a block.
    const Error across = co_await error_of(desc.read(channel, data, ByteOffset{(2 << 20) - (512 << 10)}));
    EXPECT_EQ(across.code(), std::errc::io_error);
    EXPECT_THAT(log_text(), HasSubstr(file));
    EXPECT_THAT(log_text(), HasSubstr("it ends at byte 2097152"));
    EXPECT_EQ(::truncate(file.c_str(), (2 << 20) + 100), 0);
    const Error inside = co_await error_of(desc.read(channel, data, ByteOffset{2 << 20}));
    EXPECT_EQ(inside.code(), std::errc::io_error);
    // A write makes the file longer again.
    co_await desc.write(channel, data, ByteOffset{3 << 20});
    co_await desc.read(channel, data, ByteOffset{2 << 20});
  });
}

TEST_P(FileFailureTest, AFileThatIsShortenedWhileItIsRead) {
  const std::string file = make_file("disk", 8 << 20);
  with_device(options(file), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    DmaBuf data{8 << 20};
    int good = 0;
    int failed = 0;
    auto read_one = [&](std::uint64_t i) -> Task<> {
      auto result = co_await as_result(desc.read(channel, data.subspan(i * 4096, 4096), ByteOffset{i * 4096}));
      if (result) {
        ++good;
      } else {
        EXPECT_EQ(result.error().code(), std::errc::io_error) << result.error().what();
        ++failed;
      }
    };
    Scope scope;
    for (std::uint64_t i = 0; i < 1024; ++i) scope.spawn(read_one(i));
    EXPECT_EQ(::truncate(file.c_str(), 1 << 20), 0);
    for (std::uint64_t i = 1024; i < 2048; ++i) scope.spawn(read_one(i));
    co_await scope.join();
    EXPECT_EQ(good + failed, 2048);
    EXPECT_GE(failed, 1024) << "the second half was asked for after the file had ended before it";
  });
}

TEST_P(FileFailureTest, ADeletedFileIsUsedOn) {
  const std::string file = make_file("disk", 1 << 20);
  with_device(options(file), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    EXPECT_EQ(::unlink(file.c_str()), 0);
    DmaBuf data{4096};
    DmaBuf back{4096};
    fill_random(data, 1);
    co_await desc.write(channel, data, ByteOffset{0});
    co_await desc.read(channel, back, ByteOffset{0});
    EXPECT_TRUE(equal(data, back));
  });
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST_P(FileFailureTest, AFullFileSystem) {
  if (!mount_small(path("small"), "size=1m")) GTEST_SKIP() << "needs the right to mount";
  const std::string file = make_file("small/disk", 8 << 20);
  with_device(options(file), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    DmaBuf data{2 << 20};
    data.fill(std::byte{1});
    const Error full = co_await error_of(desc.write(channel, data, ByteOffset{0}));
    EXPECT_EQ(full.code(), std::errc::no_space_on_device) << full.what();
    EXPECT_THAT(log_text(), HasSubstr(file));
    // Space that is given back can be used.
    if (desc.supports(IoType::unmap)) {
      co_await desc.unmap(channel, ByteRange{ByteOffset{0}, ByteCount{8 << 20}});
      co_await desc.write(channel, data.subspan(0, 64 << 10), ByteOffset{4 << 20});
    }
  });
}

TEST_P(FileFailureTest, ZeroesWhereTheFileSystemHasNoOperationForThem) {
  // tmpfs punches holes and knows no FALLOC_FL_ZERO_RANGE.
  if (!mount_small(path("small"), "size=16m")) GTEST_SKIP() << "needs the right to mount";
  with_device(options(make_file("small/disk", 4 << 20)), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    DmaBuf data{1 << 20};
    data.fill(std::byte{1});
    Scope scope;
    co_await desc.write(channel, data, ByteOffset{0});
    for (std::uint64_t i = 0; i < 16; ++i) {
      scope.spawn(desc.write_zeroes(channel, ByteRange{ByteOffset{i << 15}, ByteCount{1 << 15}}));
    }
    co_await scope.join();
    DmaBuf back{1 << 20};
    co_await desc.read(channel, back, ByteOffset{0});
    EXPECT_TRUE(all_zero(back.subspan(0, 512 << 10)));
    EXPECT_TRUE(equal(back.subspan(512 << 10, 512 << 10), data.subspan(512 << 10, 512 << 10)));
  });
}

TEST_P(FileFailureTest, AReadOnlyFileSystem) {
  if (!mount_small(path("small"), "size=1m")) GTEST_SKIP() << "needs the right to mount";
  const std::string file = make_file("small/disk", 64 << 10);
  ASSERT_EQ(::mount(nullptr, mounted_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  FileOptions wanted = options(file);
  const Error error = failure_of(create_file(wanted));
  EXPECT_EQ(error.code(), std::errc::read_only_file_system);
  EXPECT_THAT(error.what(), HasSubstr(file));
  EXPECT_THAT(error.what(), HasSubstr("read-only"));
  wanted.read_only = true;
  with_device(wanted, [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    DmaBuf data{4096};
    co_await desc.read(channel, data, ByteOffset{0});
    EXPECT_TRUE(all_zero(data));
    EXPECT_FALSE(desc.supports(IoType::write));
    EXPECT_FALSE(desc.supports(IoType::unmap));
    EXPECT_FALSE(desc.supports(IoType::write_zeroes));
  });
}

TEST_P(FileFailureTest, AFileSizeLimit) {
  // The kernel sends SIGXFSZ too; it must not end the program when the program ignores it.
  struct RestoreLimit {
    rlimit before{};
    sighandler_t handler = ::signal(SIGXFSZ, SIG_IGN);
    RestoreLimit() { ::getrlimit(RLIMIT_FSIZE, &before); }
    ~RestoreLimit() {
      ::setrlimit(RLIMIT_FSIZE, &before);
      ::signal(SIGXFSZ, handler);
    }
  } restore;
  const std::string file = make_file("disk", 4 << 20);
  with_device(options(file), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    rlimit limit = restore.before;
    limit.rlim_cur = 1 << 20;
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    DmaBuf data{4096};
    co_await desc.write(channel, data, ByteOffset{0});
    const Error error = co_await error_of(desc.write(channel, data, ByteOffset{2 << 20}));
    EXPECT_EQ(error.code(), std::errc::file_too_large) << error.what();
  });
}

// ---- what a process may not do; each in a process of its own

/// Runs `body` in a child; its value is 0 when all went well.
template <class F>
int in_child(F body) {
  const pid_t child = ::fork();
  if (child == 0) {
    int result = 100;
    try {
      result = body();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "child: %s\n", error.what());
    }
    ::_exit(result);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

Task<int> write_and_read(const std::string& file, FileBackend backend) {
  auto creating = create_file({.name = "Child", .filename = file, .backend = backend});
  co_await std::move(creating);
  auto opening = BdevDesc::open("Child", Access::read_write);
  BdevDesc desc = co_await std::move(opening);
  bool same = false;
  {
    IoChannel channel = desc.io_channel();
    DmaBuf data{16384};
    DmaBuf back{16384};
    fill_random(data, 7);
    co_await desc.write(channel, data, ByteOffset{4096});
    co_await desc.read(channel, back, ByteOffset{4096});
    same = equal(data, back);
  }
  auto closing = desc.close();
  co_await std::move(closing);
  auto deleting = delete_file("Child");
  co_await std::move(deleting);
  co_return same ? 0 : 1;
}

int child_io(const std::string& file, FileBackend backend) {
  TestEngine engine;
  Thread thread = Thread::attach("child");
  const int result = block_on(write_and_read(file, backend));
  thread.close();
  return result;
}

class FileSandboxTest : public FileTestBase {
 protected:
  void SetUp() override {
    FileTestBase::SetUp();
    file_ = make_file("disk", 1 << 20);
    ::chmod(folder_.c_str(), 0777);
    ::chmod(file_.c_str(), 0666);
    // The child starts from nothing.
    stop_engine();
    log::set_sink({});
  }
  /// io_uring_setup answers `errno_value` from now on.
  static bool forbid_io_uring(int errno_value) {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(errno_value)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{4, program};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
  }
  std::string file_;
};

TEST_F(FileSandboxTest, NoIoUring) {
  for (const int reason : {ENOSYS, EPERM}) {
    EXPECT_EQ(in_child([&] {
                if (!forbid_io_uring(reason)) return 2;
                return child_io(file_, FileBackend::automatic);
              }),
              0);
  }
}

TEST_F(FileSandboxTest, NoIoUringAlthoughItWasAskedFor) {
  EXPECT_EQ(in_child([&] {
              if (!forbid_io_uring(EPERM)) return 2;
              try {
                child_io(file_, FileBackend::io_uring);
              } catch (const Error& error) {
                const std::string text = error.what();
                return text.find("io_uring") != std::string::npos && text.find(file_) != std::string::npos ? 0 : 3;
              }
              return 4;
            }),
            0);
}

TEST_F(FileSandboxTest, LittleLockedMemory) {
  const auto with_limit = [&](rlim_t bytes, FileBackend backend) {
    return in_child([&] {
      const rlimit limit{bytes, bytes};
      if (::setrlimit(RLIMIT_MEMLOCK, &limit) != 0) return 2;
      // The limit is not for root.
      if (::getuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) return 3;
      return child_io(file_, backend);
    });
  };
  EXPECT_EQ(with_limit(1 << 20, FileBackend::automatic), 0) << "enough for a ring, not for buffers";
  EXPECT_EQ(with_limit(0, FileBackend::automatic), 0) << "newer kernels give no ring then";
}

TEST_F(FileSandboxTest, TheEnvironmentVariable) {
  EXPECT_EQ(in_child([&] {
              ::setenv("SPDKIO_NO_IO_URING", "1", 1);
              TestEngine engine;
              Thread thread = Thread::attach("child");
              int rings = -1;
              auto body = [&]() -> Task<> {
                auto creating = create_file({.name = "Child", .filename = file_});
                co_await std::move(creating);
                auto opening = BdevDesc::open("Child");
                BdevDesc desc = co_await std::move(opening);
                {
                  IoChannel channel = desc.io_channel();
                  DmaBuf data{4096};
                  co_await desc.read(channel, data, ByteOffset{0});
                  rings = open_rings();
                }
                auto closing = desc.close();
                co_await std::move(closing);
                auto deleting = delete_file("Child");
                co_await std::move(deleting);
              };
              block_on(body());
              thread.close();
              return rings;
            }),
            0);
}

}  // namespace
}  // namespace spdkio::bdev::file::test
