// What the conformance tests share: the engine under test, a Thread, and the devices that the behaviours run on.
#pragma once

#include <spdkio/spdkio.hpp>

#include <spdkio/bdev/service.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace spdkio::conformance {

using namespace std::chrono_literals;
using bdev::IoType;
using ::testing::HasSubstr;

/// What the environment variable SPDKIO_CONFORMANCE_POLL_MODE names: `interrupt` has the spdk engine use SPDK's
/// interrupt mode.
inline PollMode poll_mode_of_environment() {
  const char* name = std::getenv("SPDKIO_CONFORMANCE_POLL_MODE");
  if (name == nullptr) return PollMode::adaptive;
  const auto mode = poll_mode_from(name);
  if (!mode) throw Error(Misuse::invalid_argument, std::string("SPDKIO_CONFORMANCE_POLL_MODE is ") + name);
  return *mode;
}

/// A running engine, an attached Thread and a folder.
class EngineTest : public ::testing::Test {
 protected:
  virtual PollMode poll_mode() const { return poll_mode_of_environment(); }
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "spdkio-conformance-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    env_.emplace(Env::start({.name = "conformance", .no_pci = true, .no_huge = true, .poll_mode = poll_mode()}));
    thread_.emplace(Thread::attach("conformance"));
  }
  void TearDown() override {
    if (thread_) {
      try {
        block_on(remove_all());
        thread_->close();
      } catch (const Error& error) {
        ADD_FAILURE() << error.what();
      }
      thread_.reset();
    }
    env_.reset();
    std::filesystem::remove_all(folder_);
  }

  /// Runs one operation to its end.
  template <class T>
  static Result<T> run(IoOperation<T> operation) {
    return block_on(await_result<T>(std::move(operation)));
  }
  template <class T>
  static Task<Result<T>> await_result(IoOperation<T> operation) {
    co_return co_await as_result(operation);
  }
  template <class T>
  static Result<T> run(Task<T> task) {
    return block_on(await_task<T>(std::move(task)));
  }
  template <class T>
  static Task<Result<T>> await_task(Task<T> task) {
    co_return co_await as_result(std::move(task));
  }
  /// The code that something failed with; success when it did not.
  template <class T>
  static std::error_code code_of(const Result<T>& result) {
    return result ? std::error_code{} : result.error().code();
  }
  static BdevDesc open(std::string_view name, Access access = Access::read_write) {
    return block_on(BdevDesc::open(name, access));
  }
  static void unregister(std::string name) { block_on(bdev::Service::current().unregister_device(std::move(name))); }
  std::string make_file(const std::string& name, std::uint64_t bytes) const {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path).put('\0');
    std::filesystem::resize_file(path, bytes);
    return path;
  }

  std::string folder_;
  std::optional<Env> env_;
  std::optional<Thread> thread_;

 private:
  /// The newest first: what stands on others goes before them.
  static Task<> remove_all() {
    for (;;) {
      const auto devices = bdev::Service::current().list();
      if (devices.empty()) co_return;
      auto removing = bdev::Service::current().unregister_device(devices.back()->name());
      const auto removed = co_await as_result(std::move(removing));
      if (!removed) EXPECT_EQ(removed.error().code(), std::errc::no_such_device) << removed.error().what();
    }
  }
};

/// A kind of device that the general behaviours hold for.
struct Kind {
  const char* test_name;
  /// Makes it and gives its name; `folder` is for files.
  Task<std::string> (*create)(std::string folder);
  bool without_io_uring = false;
  bool needs_io_uring = false;
};
inline void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.test_name; }

constexpr std::uint64_t device_blocks = 2048;

/// Fills with what only this seed gives.
inline void fill_random(DmaSpan span, unsigned seed) {
  std::minstd_rand random(seed + 1);
  for (std::byte& byte : span.bytes()) byte = static_cast<std::byte>(random() >> 8);
}
inline bool equal(DmaSpan a, DmaSpan b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}
inline bool all_equal_to(DmaSpan span, std::byte value) {
  for (const std::byte byte : span.bytes()) {
    if (byte != value) return false;
  }
  return true;
}
constexpr LbaRange blocks(std::uint64_t first, std::uint64_t count) { return {Lba{first}, BlockCount{count}}; }

/// An open device of one kind.
class DeviceTest : public EngineTest, public ::testing::WithParamInterface<Kind> {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    if (GetParam().without_io_uring) ::setenv("SPDKIO_NO_IO_URING", "1", 1);
    const auto name = run(GetParam().create(folder_));
    if (!name && GetParam().needs_io_uring) {
      GTEST_SKIP() << "io_uring is not to be had here: " << name.error().what();
    }
    ASSERT_TRUE(name) << name.error().what();
    name_ = *name;
    desc_.emplace(open(name_));
    channel_ = desc_->io_channel();
    block_size_ = desc_->block_size();
  }
  void TearDown() override {
    channel_.close();
    if (desc_ && !desc_->state()->closed()) block_on(desc_->close());
    desc_.reset();
    EngineTest::TearDown();
    ::unsetenv("SPDKIO_NO_IO_URING");
  }

  DmaBuf buffer(std::uint64_t block_count) const { return DmaBuf{block_count * block_size_}; }
  DmaBuf random_buffer(std::uint64_t block_count, unsigned seed) const {
    DmaBuf made = buffer(block_count);
    fill_random(made, seed);
    return made;
  }
  void expect_content(LbaRange where, DmaSpan expected) {
    DmaBuf found = buffer(where.count.value);
    const auto read = run(desc_->read(channel_, found, where));
    ASSERT_TRUE(read) << read.error().what();
    EXPECT_TRUE(equal(found, expected)) << "at block " << where.first.value;
  }

  std::string name_;
  std::optional<BdevDesc> desc_;
  IoChannel channel_;
  std::uint32_t block_size_ = 0;
};

std::vector<Kind> all_kinds();

}  // namespace spdkio::conformance
