#include <spdkio/app/env.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/bdev_modules/malloc.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/thread.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

namespace spdkio::bdev {
namespace {

void number(DmaSpan span, std::uint64_t seed) {
  std::uint64_t value = seed * 0x9E37'79B9'7F4A'7C15u;
  for (std::byte& byte : span.bytes()) byte = static_cast<std::byte>((value = value * 6364136223846793005u + 1) >> 56);
}

Task<> write_and_read(const BdevDesc& disk, const IoChannel& channel, std::uint64_t first, std::uint64_t count) {
  const std::size_t block_size = disk.block_size();
  const LbaRange range{Lba{first}, BlockCount{count}};
  DmaBuf data{count * block_size};
  number(data, first);
  co_await disk.write(channel, data, range);
  DmaBuf found{data.size()};
  co_await disk.read(channel, found, range);
  EXPECT_EQ(std::memcmp(found.data(), data.data(), data.size()), 0) << "blocks of " << block_size;
}

Task<> use_blocks_of(std::uint32_t block_size) {
  const MallocOptions options{.name = "Large", .num_blocks = 24, .block_size = block_size};
  auto making = create_malloc(options);
  co_await std::move(making);
  auto opening = BdevDesc::open("Large", Access::read_write);
  BdevDesc disk = co_await std::move(opening);
  {
    const IoChannel channel = disk.io_channel();
    auto alone = write_and_read(disk, channel, 0, 1);
    co_await std::move(alone);
    // More than a batch has, of one block and of several.
    Scope scope;
    for (std::uint64_t first = 0; first < 20; ++first) scope.spawn(write_and_read(disk, channel, first, 1));
    scope.spawn(write_and_read(disk, channel, 20, 4));
    auto joining = scope.join();
    co_await std::move(joining);
    co_await disk.write_zeroes(channel, LbaRange{Lba{3}, BlockCount{1}});
    DmaBuf found{block_size};
    co_await disk.read(channel, found, LbaRange{Lba{3}, BlockCount{1}});
    for (const std::byte byte : found.bytes()) {
      if (byte != std::byte{0}) {
        ADD_FAILURE() << "not zeroes";
        break;
      }
    }
  }
  auto closing = disk.close();
  co_await std::move(closing);
  auto removing = delete_malloc("Large");
  co_await std::move(removing);
}

/// The channel executes requests in batches of 128 KiB: a block may be as long as that, or longer.
TEST(MallocDevice, BlocksAsLongAsABatchAndLonger) {
  Env env = Env::start({.name = "malloc-test", .no_pci = true, .no_huge = true});
  Thread thread = Thread::attach("malloc-test");
  for (const std::uint32_t block_size : {128u << 10, (128u << 10) + 512, 256u << 10, 1u << 20}) {
    block_on(use_blocks_of(block_size));
  }
  thread.close();
  env.stop();
}

}  // namespace
}  // namespace spdkio::bdev
