// Reads and writes: every way that data goes.

#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/when_all.hpp>

#include <bit>
#include <thread>

#include "bdev_modules/file/file_test_fixture.hpp"
#include "bdev_modules/file/transfer_cursor.hpp"

namespace spdkio::bdev::file::test {
namespace {

class FileTransferTest : public FileTest {};
SPDKIO_FILE_TESTS(FileTransferTest);

TEST(TransferCursor, ADmaSpanIsAnIovec) {
  std::byte memory[8];
  const auto span = DmaSpan::from_registered(memory, 8);
  const auto iov = std::bit_cast<iovec>(span);
  EXPECT_EQ(iov.iov_base, memory);
  EXPECT_EQ(iov.iov_len, 8u);
}

TEST(TransferCursor, GoesOnInsideAPiece) {
  std::byte memory[100];
  const DmaSpan pieces[] = {DmaSpan::from_registered(memory, 10), DmaSpan::from_registered(memory + 10, 0),
                            DmaSpan::from_registered(memory + 20, 30), DmaSpan::from_registered(memory + 60, 5)};
  TransferCursor cursor(pieces, 1000, 45);
  EXPECT_FALSE(cursor.single());
  EXPECT_EQ(cursor.iov_count(), 4);
  cursor.advance(15);
  EXPECT_TRUE(cursor.single());
  EXPECT_EQ(cursor.offset(), 1015u);
  EXPECT_EQ(cursor.data(), memory + 25);
  EXPECT_EQ(cursor.bytes(), 25u);
  cursor.advance(25);
  EXPECT_EQ(cursor.data(), memory + 60);
  EXPECT_TRUE(cursor.single());
  EXPECT_FALSE(cursor.done());
  cursor.advance(5);
  EXPECT_TRUE(cursor.done());
}

TEST_P(FileTransferTest, WritesReachTheFileAndReadsComeFromIt) {
  const std::string file = make_file("disk", 1 << 20);
  with_device(options(file), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    EXPECT_EQ(desc.size().value, 1u << 20);
    DmaBuf data{64 << 10};
    fill_random(data, 1);
    co_await desc.write(channel, data, ByteOffset{128 << 10});
    co_await desc.flush(channel);

    std::vector<std::byte> seen(data.size());
    const UniqueFd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
    EXPECT_EQ(::pread(fd.get(), seen.data(), seen.size(), 128 << 10), static_cast<ssize_t>(seen.size()));
    EXPECT_EQ(std::memcmp(seen.data(), data.data(), seen.size()), 0);

    const std::string text(desc.block_size(), 'x');
    EXPECT_EQ(::pwrite(fd.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    DmaBuf back{desc.block_size()};
    co_await desc.read(channel, back, ByteOffset{0});
    EXPECT_EQ(std::memcmp(back.data(), text.data(), text.size()), 0);
  });
}

TEST_P(FileTransferTest, EveryBlockSizeDirectAndThroughThePageCache) {
  for (const DirectIo direct : {DirectIo::automatic, DirectIo::off}) {
    for (const std::uint32_t block_size : {0u, 512u, 4096u, 65536u}) {
      SCOPED_TRACE(block_size);
      const std::string file = make_file("disk", 4 << 20);
      FileOptions wanted = options(file);
      wanted.block_size = block_size;
      wanted.direct = direct;
      with_device(wanted, [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
        if (block_size != 0) {
          EXPECT_EQ(desc.block_size(), block_size);
        }
        EXPECT_EQ(desc.size().value, 4u << 20);
        if (direct == DirectIo::off) {
          EXPECT_EQ(desc.buffer_alignment(), 1u);
        }
        DmaBuf data{3 * desc.block_size()};
        DmaBuf back{3 * desc.block_size()};
        fill_random(data, block_size);
        const LbaRange last{Lba{desc.num_blocks().value - 3}, BlockCount{3}};
        co_await desc.write(channel, data, last);
        co_await desc.read(channel, back, last);
        EXPECT_TRUE(equal(data, back));
      });
      block_on(delete_file("File0"));
    }
  }
}

TEST_P(FileTransferTest, ScatterListsOfEveryShape) {
  with_device(options(make_file("disk", 8 << 20)), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    const std::size_t unit = desc.block_size();
    // Longer than what one call to the kernel takes, and with pieces of different sizes.
    for (const std::size_t pieces : {2u, 7u, 1500u}) {
      DmaBuf data{3 * pieces * unit};
      DmaBuf back{3 * pieces * unit};
      fill_random(data, static_cast<unsigned>(pieces));
      std::vector<DmaSpan> from;
      std::vector<DmaSpan> into;
      std::size_t at = 0;
      for (std::size_t i = 0; i < pieces; ++i) {
        const std::size_t count = (1 + i % 3) * unit;
        from.push_back(data.subspan(at, count));
        into.push_back(back.subspan(at, count));
        at += count;
      }
      co_await desc.write(channel, DmaSpans{from}, ByteOffset{unit});
      co_await desc.read(channel, DmaSpans{into}, ByteOffset{unit});
      EXPECT_TRUE(equal(data.subspan(0, at), back.subspan(0, at)));
      // The same in one piece: the order is the list's.
      DmaBuf whole{at};
      co_await desc.read(channel, whole, ByteOffset{unit});
      EXPECT_TRUE(equal(data.subspan(0, at), whole));
    }
  });
}

TEST_P(FileTransferTest, MemoryThatTheKernelHasNotPinned) {
  with_device(options(make_file("disk", 16 << 20)), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    DmaBuf known{64 << 10};
    memory().outside = true;
    DmaBuf unknown{64 << 10};
    memory().outside = false;
    // Longer than a window, so that it can't lie in one.
    DmaBuf large{9 << 20};
    EXPECT_TRUE(memory().contains(known.data()));
    EXPECT_FALSE(memory().contains(unknown.data()));
    unsigned seed = 0;
    for (const DmaBuf* buffer : {&known, &unknown, &large, &known}) {
      fill_random(*buffer, ++seed);
      DmaBuf back{buffer->size()};
      co_await desc.write(channel, *buffer, ByteOffset{0});
      co_await desc.read(channel, back, ByteOffset{0});
      EXPECT_TRUE(equal(*buffer, back));
      ++memory().id;  // the chunk is another one now: it is pinned anew
      ++memory().version;
    }
  });
}

TEST_P(FileTransferTest, MemoryThatComesAndGoesWhileRequestsWaitForTheKernel) {
  with_device(options(make_file("disk", 16 << 20)), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    constexpr std::size_t count = 32;
    std::vector<std::byte> elsewhere(12 << 20);
    DmaBuf data{count * 4096};
    DmaBuf back{count * 4096};
    fill_random(data, 1);
    auto part = [&](std::size_t i) -> Task<> {
      // Before the others in the list, which must not change what the requests of this round have asked for.
      const engine::MemoryChunk chunk{.base = elsewhere.data(), .size = elsewhere.size(), .id = 100 + i};
      if (i % 3 == 2) {
        memory().more.clear();
      } else {
        memory().more.insert(memory().more.begin(), chunk);
      }
      ++memory().version;
      co_await desc.write(channel, data.subspan(i * 4096, 4096), ByteOffset{i * 4096});
      co_await desc.read(channel, back.subspan(i * 4096, 4096), ByteOffset{i * 4096});
    };
    Scope scope;
    for (std::size_t i = 0; i < count; ++i) scope.spawn(part(i));
    co_await scope.join();
    EXPECT_TRUE(equal(data, back));
    memory().more.clear();
    ++memory().version;
  });
}

TEST_P(FileTransferTest, ForcedUnitAccess) {
  with_device(options(make_file("disk", 1 << 20)), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    DmaBuf data{8192};
    DmaBuf back{8192};
    fill_random(data, 3);
    const IoOptions durable{.metadata = {}, .fua = true};
    co_await desc.write(channel, data, ByteOffset{4096}, durable);
    const DmaSpan pieces[] = {data.subspan(4096, 4096), data.subspan(0, 4096)};
    co_await desc.write(channel, DmaSpans{pieces}, ByteOffset{65536}, durable);
    co_await desc.read(channel, back, ByteOffset{4096});
    EXPECT_TRUE(equal(data, back));
    co_await desc.read(channel, back, ByteOffset{65536});
    EXPECT_TRUE(equal(data.subspan(4096, 4096), back.subspan(0, 4096)));
  });
}

TEST_P(FileTransferTest, MoreInFlightThanTheRingHolds) {
  constexpr std::size_t count = 10'000;
  with_device(options(make_file("disk", count * 512)), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    DmaBuf data{count * 512};
    DmaBuf back{count * 512};
    fill_random(data, 4);
    std::size_t ended = 0;
    auto write_one = [&](std::size_t i) -> Task<> {
      co_await desc.write(channel, data.subspan(i * 512, 512), ByteOffset{i * 512});
      ++ended;
    };
    auto read_one = [&](std::size_t i) -> Task<> {
      co_await desc.read(channel, back.subspan(i * 512, 512), ByteOffset{i * 512});
      ++ended;
    };
    Scope scope;
    for (std::size_t i = 0; i < count; ++i) scope.spawn(write_one(i));
    EXPECT_EQ(channel.in_flight(), count);
    co_await scope.join();
    EXPECT_EQ(ended, count);
    for (std::size_t i = 0; i < count; ++i) scope.spawn(read_one(i));
    co_await scope.join();
    EXPECT_EQ(ended, 2 * count);
    EXPECT_TRUE(equal(data, back));
    EXPECT_EQ(channel.in_flight(), 0u);
  });
}

TEST_P(FileTransferTest, SeveralThreadsOnOneFile) {
  constexpr std::uint64_t part = 2 << 20;
  constexpr int threads = 3;
  with_device(options(make_file("disk", threads * part)), [&](BdevDesc& desc, IoChannel& channel) -> Task<> {
    std::vector<std::thread> others;
    std::atomic<int> good{0};
    for (int i = 0; i < threads; ++i) {
      others.emplace_back([&, i] {
        Thread mine = Thread::attach("part" + std::to_string(i));
        auto work = [&]() -> Task<> {
          IoChannel own = desc.io_channel();
          DmaBuf data{256 << 10};
          DmaBuf back{256 << 10};
          for (unsigned round = 0; round < 8; ++round) {
            const ByteOffset where{static_cast<std::uint64_t>(i) * part + round * data.size()};
            fill_random(data, static_cast<unsigned>(i) * 100 + round);
            co_await desc.write(own, data, where);
            co_await desc.read(own, back, where);
            if (equal(data, back)) ++good;
          }
        };
        block_on(work());
        mine.close();
      });
    }
    for (std::thread& other : others) other.join();
    EXPECT_EQ(good, threads * 8);
    DmaBuf whole{part};
    co_await desc.read(channel, whole, ByteOffset{0});
    EXPECT_FALSE(all_zero(whole));
  });
}

TEST_P(FileTransferTest, TwoDevicesOfAThreadShareItsRing) {
  const int before = open_rings();
  const std::string second_file = make_file("second", 1 << 20);
  FileOptions second = options(second_file);
  second.name = "File1";
  with_device(options(make_file("first", 1 << 20)), [&](BdevDesc& first, IoChannel& channel) -> Task<> {
    auto creating = create_file(second);
    co_await std::move(creating);
    auto opening = BdevDesc::open("File1", Access::read_write);
    BdevDesc other = co_await std::move(opening);
    {
      IoChannel other_channel = other.io_channel();
      EXPECT_EQ(open_rings() - before, GetParam() == FileBackend::io_uring ? 1 : 0);
      DmaBuf a{4096};
      DmaBuf b{4096};
      fill_random(a, 1);
      fill_random(b, 2);
      co_await when_all(first.write(channel, a, ByteOffset{0}), other.write(other_channel, b, ByteOffset{0}));
      DmaBuf back{4096};
      co_await other.read(other_channel, back, ByteOffset{0});
      EXPECT_TRUE(equal(b, back));
      co_await first.read(channel, back, ByteOffset{0});
      EXPECT_TRUE(equal(a, back));
    }
    auto closing = other.close();
    co_await std::move(closing);
  });
  EXPECT_EQ(open_rings(), before) << "the ring ends with the last channel";
}

}  // namespace
}  // namespace spdkio::bdev::file::test
