// Operations on ranges: zeroes, unmap, copy, seeking, reset.

#include <spdkio/runtime/scope.hpp>

#include "bdev_modules/file/file_test_fixture.hpp"

namespace spdkio::bdev::file::test {
namespace {

class FileRangeTest : public FileTest {
 protected:
  static std::uint64_t blocks_on_disk(const std::string& file) {
    struct stat info{};
    EXPECT_EQ(::stat(file.c_str(), &info), 0);
    return static_cast<std::uint64_t>(info.st_blocks);
  }
};
SPDKIO_FILE_TESTS(FileRangeTest);

TEST_P(FileRangeTest, WriteZeroes) {
  with_device(options(make_file("disk", 8 << 20)), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    EXPECT_TRUE(desc.supports(IoType::write_zeroes));
    DmaBuf data{8 << 20};
    DmaBuf back{8 << 20};
    fill_random(data, 1);
    co_await desc.write(channel, data, ByteOffset{0});
    co_await desc.write_zeroes(channel, ByteRange{ByteOffset{12 << 10}, ByteCount{5 << 20}});
    co_await desc.read(channel, back, ByteOffset{0});
    EXPECT_TRUE(equal(data.subspan(0, 12 << 10), back.subspan(0, 12 << 10)));
    EXPECT_TRUE(all_zero(back.subspan(12 << 10, 5 << 20)));
    const std::size_t behind = (12 << 10) + (5 << 20);
    EXPECT_TRUE(equal(data.subspan(behind, data.size() - behind), back.subspan(behind, back.size() - behind)));
  });
}

TEST_P(FileRangeTest, UnmapGivesTheSpaceBack) {
  const std::string file = make_file("disk", 4 << 20);
  with_device(options(file), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    if (!desc.supports(IoType::unmap)) co_return;
    DmaBuf data{4 << 20};
    fill_random(data, 1);
    co_await desc.write(channel, data, ByteOffset{0});
    co_await desc.flush(channel);
    const std::uint64_t before = blocks_on_disk(file);
    co_await desc.unmap(channel, ByteRange{ByteOffset{1 << 20}, ByteCount{2 << 20}});
    co_await desc.flush(channel);
    EXPECT_LT(blocks_on_disk(file), before);
    DmaBuf back{2 << 20};
    co_await desc.read(channel, back, ByteOffset{1 << 20});
    EXPECT_TRUE(all_zero(back));
    EXPECT_EQ(std::filesystem::file_size(file), 4u << 20);
  });
}

TEST_P(FileRangeTest, DataAndHolesAreFound) {
  const std::string file = make_file("disk", 4 << 20);
  FileOptions wanted = options(file);
  wanted.block_size = 4096;
  with_device(wanted, [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    EXPECT_EQ(co_await desc.seek_data(channel, Lba{0}), std::nullopt);
    EXPECT_EQ(co_await desc.seek_hole(channel, Lba{0}), Lba{0});
    DmaBuf data{1 << 20};
    fill_random(data, 1);
    co_await desc.write(channel, data, ByteOffset{1 << 20});
    EXPECT_EQ(co_await desc.seek_data(channel, Lba{0}), Lba{256});
    EXPECT_EQ(co_await desc.seek_data(channel, Lba{300}), Lba{300});
    EXPECT_EQ(co_await desc.seek_hole(channel, Lba{256}), Lba{512});
    EXPECT_EQ(co_await desc.seek_data(channel, Lba{512}), std::nullopt);
    // Data to the very end: no hole behind it.
    co_await desc.write(channel, data, ByteOffset{3 << 20});
    EXPECT_EQ(co_await desc.seek_hole(channel, Lba{768}), std::nullopt);
  });
}

TEST_P(FileRangeTest, ABlockWithAnyDataIsNoHole) {
  const std::string file = make_file("disk", 1 << 20);
  const UniqueFd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  // One page of the block from 64 KiB.
  const std::string page(4096, 'x');
  ASSERT_EQ(::pwrite(fd.get(), page.data(), page.size(), (64 << 10) + 8192), 4096);
  FileOptions wanted = options(file);
  wanted.block_size = 64 << 10;
  with_device(wanted, [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    EXPECT_EQ(co_await desc.seek_data(channel, Lba{0}), Lba{1});
    EXPECT_EQ(co_await desc.seek_hole(channel, Lba{1}), Lba{2});
  });
}

TEST_P(FileRangeTest, CopyAlsoBetweenRangesThatOverlap) {
  with_device(options(make_file("disk", 8 << 20)), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    const std::uint32_t block = desc.block_size();
    DmaBuf data{3 << 20};
    DmaBuf back{3 << 20};
    fill_random(data, 1);
    const BlockCount count{data.size() / block};
    const Lba start{(1 << 20) / block};
    for (const std::uint64_t target : {5u << 20, (1u << 20) + 64 * block, (1u << 20) - 8 * block}) {
      co_await desc.write(channel, data, LbaRange{start, count});
      const LbaRange from{start, count};
      co_await desc.copy(channel, from, Lba{target / block});
      co_await desc.read(channel, back, ByteOffset{target});
      EXPECT_TRUE(equal(data, back)) << target;
    }
  });
}

TEST_P(FileRangeTest, AResetComesAfterWhatWasInFlight) {
  with_device(options(make_file("disk", 4 << 20)), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    DmaBuf data{4 << 20};
    int ended = 0;
    int ended_before_reset = -1;
    auto write_one = [&](std::uint64_t i) -> Task<> {
      co_await desc.write(channel, data.subspan(i << 16, 1 << 16), ByteOffset{i << 16});
      ++ended;
    };
    auto reset = [&]() -> Task<> {
      co_await desc.reset(channel);
      ended_before_reset = ended;
    };
    Scope scope;
    for (std::uint64_t i = 0; i < 64; ++i) scope.spawn(write_one(i));
    scope.spawn(reset());
    scope.spawn(reset());
    co_await scope.join();
    EXPECT_EQ(ended_before_reset, 64);
    co_await desc.reset(channel);  // with nothing in flight
  });
}

}  // namespace
}  // namespace spdkio::bdev::file::test
