// What the tests of the file module share.
#pragma once

#include <spdkio/base/log.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/bdev_modules/file.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/thread.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "bdev_modules/file/test_engine.hpp"

namespace spdkio::bdev::file::test {

/// A folder of its own, an engine and a Thread.
class FileTestBase : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "spdkio-file-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    engine_.emplace();
    thread_.emplace(Thread::attach("test"));
    log::set_sink([this](log::Level, std::string_view text) {
      const std::lock_guard lock(log_mutex_);
      log_ += std::string(text) + "\n";
    });
  }
  void TearDown() override {
    stop_engine();
    log::set_sink({});
    std::filesystem::remove_all(folder_);
  }
  void stop_engine() {
    if (!engine_) return;
    block_on(engine_->bdevs().unregister_all());
    thread_->close();
    thread_.reset();
    engine_.reset();
  }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  /// A file of zeroes, without blocks.
  std::string make_file(const std::string& name, std::uint64_t bytes) const {
    const UniqueFd fd(::open(path(name).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644));
    EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
    return path(name);
  }
  std::string log_text() {
    const std::lock_guard lock(log_mutex_);
    return log_;
  }
  TestMemory& memory() { return engine_->memory(); }
  Registry& bdevs() { return engine_->bdevs(); }

  /// Opens the file as bdev "File0" and runs `body(desc, channel)`.
  template <class F>
  void with_device(const FileOptions& options, F body) {
    auto all = [&]() -> Task<> {
      auto creating = create_file(options);
      co_await std::move(creating);
      auto opening = BdevDesc::open(options.name, options.read_only ? Access::read_only : Access::read_write);
      BdevDesc desc = co_await std::move(opening);
      {
        IoChannel channel = desc.io_channel();
        auto running = body(desc, channel);
        co_await std::move(running);
      }
      auto closing = desc.close();
      co_await std::move(closing);
    };
    block_on(all());
  }

  std::string folder_;
  std::optional<TestEngine> engine_;
  std::optional<Thread> thread_;
  std::mutex log_mutex_;
  std::string log_;
};

/// The same tests over both ways to the kernel.
class FileTest : public FileTestBase, public ::testing::WithParamInterface<FileBackend> {
 protected:
  FileOptions options(const std::string& filename) const {
    return {.name = "File0", .filename = filename, .backend = GetParam()};
  }
};

inline std::string backend_name(const ::testing::TestParamInfo<FileBackend>& info) {
  return info.param == FileBackend::io_uring ? "IoUring" : "Threads";
}
#define SPDKIO_FILE_TESTS(suite) \
  INSTANTIATE_TEST_SUITE_P(Both, suite, ::testing::Values(FileBackend::io_uring, FileBackend::threads), backend_name)

/// Fills with what only this seed gives.
inline void fill_random(const DmaBuf& buffer, unsigned seed) {
  std::minstd_rand random(seed);
  for (std::byte& byte : buffer.bytes()) byte = static_cast<std::byte>(random() >> 8);
}

inline bool equal(DmaSpan a, DmaSpan b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

inline bool all_zero(DmaSpan span) {
  for (const std::byte byte : span.bytes()) {
    if (byte != std::byte{0}) return false;
  }
  return true;
}

/// What `task` fails with; fails the test when it does not.
template <class T>
Error failure_of(Task<T> task) {
  try {
    block_on(std::move(task));
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "expected an Error";
  return Error(std::errc::state_not_recoverable);
}

/// How many open descriptors of this process are io_urings.
inline int open_rings() {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code ignored;
    if (std::filesystem::read_symlink(entry.path(), ignored) == "anon_inode:[io_uring]") ++count;
  }
  return count;
}

}  // namespace spdkio::bdev::file::test
