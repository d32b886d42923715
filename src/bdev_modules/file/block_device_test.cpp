// Block devices of the kernel under a bdev: loop devices, where the machine lets the test make them.

#include <spdkio/runtime/scope.hpp>

#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include "bdev_modules/file/block_queue.hpp"
#include "bdev_modules/file/file_test_fixture.hpp"

namespace spdkio::bdev::file::test {
namespace {

using ::testing::HasSubstr;

/// A loop device over a file, for the life of the object.
class LoopDevice {
 public:
  explicit LoopDevice(const std::string& file, std::uint32_t block_size = 512, bool read_only = false) {
    const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    backing_ = UniqueFd(::open(file.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
    // Another test may take the free one first.
    for (int attempt = 0; attempt < 20 && control && !device_; ++attempt) {
      const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
      if (number < 0) return;
      const std::string name = "/dev/loop" + std::to_string(number);
      UniqueFd device(::open(name.c_str(), O_RDWR | O_CLOEXEC));
      if (!device) device = UniqueFd(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
      loop_config config{};
      config.fd = static_cast<__u32>(backing_.get());
      config.block_size = block_size;
      config.info.lo_flags = read_only ? LO_FLAGS_READ_ONLY : 0;
      if (!device || ::ioctl(device.get(), LOOP_CONFIGURE, &config) != 0) continue;
      device_ = std::move(device);
      name_ = name;
    }
  }
  LoopDevice(const LoopDevice&) = delete;
  ~LoopDevice() {
    if (device_) ::ioctl(device_.get(), LOOP_CLR_FD);
  }
  explicit operator bool() const { return static_cast<bool>(device_); }
  const std::string& name() const { return name_; }
  int fd() const { return device_.get(); }

 private:
  UniqueFd backing_;
  UniqueFd device_;
  std::string name_;
};

class BlockDeviceTest : public FileTest {};
SPDKIO_FILE_TESTS(BlockDeviceTest);

TEST_P(BlockDeviceTest, ReadsWritesAndDiscards) {
  const LoopDevice loop(make_file("disk", 8 << 20));
  if (!loop) GTEST_SKIP() << "needs loop devices and the right to use them";
  with_device(options(loop.name()), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    EXPECT_EQ(desc.size().value, 8u << 20);
    EXPECT_GE(desc.block_size(), 512u);
    EXPECT_FALSE(desc.supports(IoType::seek_data)) << "block devices know no holes";
    DmaBuf data{1 << 20};
    DmaBuf back{1 << 20};
    fill_random(data, 1);
    co_await desc.write(channel, data, ByteOffset{2 << 20});
    co_await desc.read(channel, back, ByteOffset{2 << 20});
    EXPECT_TRUE(equal(data, back));
    co_await desc.flush(channel);
    co_await desc.write_zeroes(channel, ByteRange{ByteOffset{2 << 20}, ByteCount{512 << 10}});
    co_await desc.read(channel, back, ByteOffset{2 << 20});
    EXPECT_TRUE(all_zero(back.subspan(0, 512 << 10)));
    EXPECT_TRUE(equal(back.subspan(512 << 10, 512 << 10), data.subspan(512 << 10, 512 << 10)));
    if (desc.supports(IoType::unmap)) {
      co_await desc.unmap(channel, ByteRange{ByteOffset{2 << 20}, ByteCount{1 << 20}});
      co_await desc.read(channel, back, ByteOffset{2 << 20});
      EXPECT_TRUE(all_zero(back)) << "a loop device punches a hole";
    }
    const std::uint64_t block = desc.block_size();
    const LbaRange from{Lba{0}, BlockCount{(64 << 10) / block}};
    co_await desc.write(channel, data.subspan(0, 64 << 10), ByteOffset{0});
    co_await desc.copy(channel, from, Lba{(4 << 20) / block});
    co_await desc.read(channel, back.subspan(0, 64 << 10), ByteOffset{4 << 20});
    EXPECT_TRUE(equal(back.subspan(0, 64 << 10), data.subspan(0, 64 << 10)));
  });
}

TEST_P(BlockDeviceTest, ItsBlockSizeCounts) {
  const LoopDevice loop(make_file("disk", 8 << 20), 4096);
  if (!loop) GTEST_SKIP() << "needs loop devices and the right to use them";
  FileOptions wanted = options(loop.name());
  wanted.block_size = 512;
  const Error error = failure_of(create_file(wanted));
  EXPECT_EQ(error.code(), Misuse::invalid_argument);
  EXPECT_THAT(error.what(), HasSubstr("blocks of 4096 bytes"));
  EXPECT_THAT(error.hint(), HasSubstr("4096"));
  with_device(options(loop.name()), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    EXPECT_EQ(desc.block_size(), 4096u);
    DmaBuf data{4096};
    co_await desc.write(channel, data, ByteOffset{4096});
  });
}

TEST_P(BlockDeviceTest, OneThatCantBeWritten) {
  const LoopDevice loop(make_file("disk", 1 << 20), 512, true);
  if (!loop) GTEST_SKIP() << "needs loop devices and the right to use them";
  const Error error = failure_of(create_file(options(loop.name())));
  EXPECT_TRUE(error.code() == std::errc::permission_denied || error.code() == std::errc::read_only_file_system)
      << error.what();
  EXPECT_THAT(error.hint(), HasSubstr("read-only"));
}

TEST_P(BlockDeviceTest, OneThatGrows) {
  const std::string file = make_file("disk", 1 << 20);
  const LoopDevice loop(file);
  if (!loop) GTEST_SKIP() << "needs loop devices and the right to use them";
  block_on(create_file(options(loop.name())));
  ASSERT_EQ(::truncate(file.c_str(), 4 << 20), 0);
  ASSERT_EQ(::ioctl(loop.fd(), LOOP_SET_CAPACITY), 0);
  const auto bdev = Bdev::find("File0");
  EXPECT_EQ(block_on(rescan_file("File0")).value * bdev->block_size(), 4u << 20);
  EXPECT_EQ(bdev->size().value, 4u << 20);
}

TEST_P(BlockDeviceTest, OneThatIsTakenAway) {
  const std::string file = make_file("disk", 1 << 20);
  const LoopDevice loop(file);
  if (!loop) GTEST_SKIP() << "needs loop devices and the right to use them";
  with_device(options(loop.name()), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    DmaBuf data{64 << 10};
    co_await desc.read(channel, data, ByteOffset{0});
    // What is left of a disk that was unplugged: a device without size.
    EXPECT_EQ(::truncate(file.c_str(), 0), 0);
    EXPECT_EQ(::ioctl(loop.fd(), LOOP_SET_CAPACITY), 0);
    auto result = co_await as_result(desc.read(channel, data, ByteOffset{0}));
    EXPECT_FALSE(result);
    if (!result) {
      EXPECT_EQ(result.error().code(), std::errc::no_such_device) << result.error().what();
    }
    const auto event = co_await desc.next_event();
    EXPECT_TRUE(event && event->type == BdevEventType::remove);
  });
  EXPECT_FALSE(Bdev::find("File0"));
  EXPECT_THAT(log_text(), HasSubstr(loop.name()));
}

TEST_P(BlockDeviceTest, OneWithoutMediumIsRefused) {
  // A loop device that nothing is attached to has size zero.
  const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  const int number = control ? ::ioctl(control.get(), LOOP_CTL_GET_FREE) : -1;
  const std::string name = "/dev/loop" + std::to_string(number);
  const UniqueFd device(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!device) GTEST_SKIP() << "needs loop devices and the right to use them";
  const Error error = failure_of(create_file(options(name)));
  EXPECT_NE(error.code(), std::error_code()) << error.what();
  EXPECT_THAT(error.what(), HasSubstr(name));
}

TEST(BlockQueue, AbsentIsEmpty) {
  EXPECT_EQ(queue_attribute(0, "rotational"), std::nullopt);
  EXPECT_EQ(queue_attribute(static_cast<dev_t>(-1), "rotational"), std::nullopt);
}

}  // namespace
}  // namespace spdkio::bdev::file::test
