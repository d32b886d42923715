#include "nvme/pcie/data_pointer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <vector>

namespace spdkio::nvme::pcie {
namespace {

constexpr std::uint64_t page = memory_page_bytes;
/// Where the device sees memory: so that an address of the process in a command shows.
constexpr std::uint64_t shift = 0x1'0000'0000'0000;

/// Memory in which device addresses go on for `contiguous` bytes at a time.
class ShiftedMemory final : public engine::MemoryService {
 public:
  std::uint64_t contiguous = ~std::uint64_t{0};
  const std::byte* hole = nullptr;  ///< an address that no device reaches

  void* allocate(std::size_t, std::size_t, int) noexcept override { return nullptr; }
  void free(void*, std::size_t) noexcept override {}
  Result<> register_region(void*, std::size_t) override { return {}; }
  Result<> unregister_region(void*) override { return {}; }
  Result<engine::IovaRange> translate(const void* memory, std::size_t size) const override {
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    if (hole != nullptr && memory <= hole && hole < static_cast<const std::byte*>(memory) + size) {
      return std::unexpected(Error(std::errc::bad_address));
    }
    // Each run lies a page further than the one before it.
    if (contiguous == ~std::uint64_t{0}) return engine::IovaRange{engine::Iova{address + shift}, size};
    const std::uint64_t run = address / contiguous;
    return engine::IovaRange{engine::Iova{address + shift + run * page},
                             std::min<std::size_t>(size, contiguous - address % contiguous)};
  }
  std::vector<engine::MemoryChunk> chunks() const override { return {}; }
  std::uint64_t chunks_version() const noexcept override { return 1; }
  engine::MemoryInfo info() const override { return {}; }
};

/// A device's reading of a data pointer: addresses and lengths, from the specification.
struct Piece {
  std::uint64_t address;
  std::uint64_t bytes;
  bool operator==(const Piece&) const = default;
};

class DataPointerTest : public testing::Test {
 protected:
  static constexpr std::size_t area_bytes = 4 << 20;
  DataPointerTest() : area_(static_cast<std::byte*>(std::aligned_alloc(2 << 20, area_bytes))) {
    list_.memory = static_cast<std::byte*>(std::aligned_alloc(page, page));
    list_.iova = reinterpret_cast<std::uintptr_t>(list_.memory) + shift;
  }
  ~DataPointerTest() override {
    std::free(area_);
    std::free(list_.memory);
  }

  DmaSpan span(std::size_t offset, std::size_t bytes) const { return DmaSpan::from_registered(area_ + offset, bytes); }
  std::uint64_t iova(std::size_t offset) const { return reinterpret_cast<std::uintptr_t>(area_) + shift + offset; }

  int point(std::vector<DmaSpan> spans, std::uint32_t bytes, SglSupport sgl = SglSupport::none,
            std::uint64_t offset = 0) {
    Request request;
    request.iov = spans.data();
    request.iov_count = static_cast<std::uint32_t>(spans.size());
    request.data_bytes = bytes;
    request.data_offset = offset;
    command_ = {};
    // What a wrong entry would be made of.
    std::memset(list_.memory, 0xEE, page);
    return point_at_data(command_, request, list_, sgl, memory_);
  }

  std::vector<Piece> read_prps(std::uint64_t bytes) const {
    EXPECT_EQ(command_.psdt(), spec::Psdt::prp);
    std::vector<Piece> pieces;
    const std::uint64_t first = command_.dptr[0];
    pieces.push_back({first, std::min(bytes, page - first % page)});
    std::uint64_t left = bytes - pieces[0].bytes;
    const std::uint64_t second = command_.dptr[1];
    if (left == 0) {
      EXPECT_EQ(second, 0u);
    } else if (left <= page) {
      pieces.push_back({second, left});
    } else {
      EXPECT_EQ(second, list_.iova);
      for (std::size_t i = 0; left != 0; ++i) {
        spec::Le64 entry;
        std::memcpy(&entry, list_.memory + 8 * i, 8);
        pieces.push_back({entry, std::min(left, page)});
        left -= pieces.back().bytes;
      }
    }
    for (std::size_t i = 1; i < pieces.size(); ++i) EXPECT_EQ(pieces[i].address % page, 0u) << i;
    return joined(pieces);
  }

  std::vector<Piece> read_sgl() const {
    EXPECT_EQ(command_.psdt(), spec::Psdt::sgl_contiguous_metadata);
    const spec::SglDescriptor first = command_.sgl();
    if (first.type() == spec::SglType::data_block) return {{first.address, first.length}};
    EXPECT_EQ(first.type(), spec::SglType::last_segment);
    EXPECT_EQ(first.address, list_.iova);
    std::vector<Piece> pieces;
    for (std::size_t i = 0; i < first.length / 16; ++i) {
      spec::SglDescriptor entry;
      std::memcpy(&entry, list_.memory + 16 * i, 16);
      EXPECT_EQ(entry.type(), spec::SglType::data_block);
      pieces.push_back({entry.address, entry.length});
    }
    return joined(pieces);
  }

  static std::vector<Piece> joined(const std::vector<Piece>& pieces) {
    std::vector<Piece> all;
    for (const Piece& piece : pieces) {
      if (!all.empty() && all.back().address + all.back().bytes == piece.address) {
        all.back().bytes += piece.bytes;
      } else {
        all.push_back(piece);
      }
    }
    return all;
  }

  ShiftedMemory memory_;
  std::byte* area_;
  ListPage list_;
  spec::Command command_;
};

using Pieces = std::vector<Piece>;

TEST_F(DataPointerTest, OneBuffer) {
  for (const std::uint32_t bytes : {4u, 512u, 4096u, 4100u, 8192u, 8196u, 65536u, 1u << 20, 2u << 20}) {
    for (const std::size_t offset : {std::size_t{0}, std::size_t{4}, std::size_t{512}, std::size_t{4092}}) {
      ASSERT_EQ(point({span(offset, bytes)}, bytes), 0) << bytes << " at " << offset;
      EXPECT_EQ(read_prps(bytes), (Pieces{{iova(offset), bytes}})) << bytes << " at " << offset;
    }
  }
}

TEST_F(DataPointerTest, MoreThanTheListTakes) {
  EXPECT_EQ(point({span(0, prp_max_transfer_bytes + page)}, prp_max_transfer_bytes + page), 0) << "513 whole pages fit";
  EXPECT_EQ(point({span(0, prp_max_transfer_bytes + 2 * page)}, prp_max_transfer_bytes + 2 * page), E2BIG);
  EXPECT_EQ(point({span(4, prp_max_transfer_bytes + page)}, prp_max_transfer_bytes + page), E2BIG);
}

TEST_F(DataPointerTest, PiecesThatMeetAtPageBoundaries) {
  ASSERT_EQ(point({span(3 * page - 512, 512), span(8 * page, 2 * page), span(20 * page, 1024)}, 512 + 2 * page + 1024),
            0);
  EXPECT_EQ(read_prps(512 + 2 * page + 1024),
            (Pieces{{iova(3 * page - 512), 512}, {iova(8 * page), 2 * page}, {iova(20 * page), 1024}}));
}

TEST_F(DataPointerTest, OffsetIntoTheList) {
  const std::vector spans{span(0, 2 * page), span(10 * page, 2 * page), span(20 * page, 2 * page)};
  ASSERT_EQ(point(spans, 2 * page, SglSupport::none, page), 0);
  EXPECT_EQ(read_prps(2 * page), (Pieces{{iova(page), page}, {iova(10 * page), page}}));
  ASSERT_EQ(point(spans, page, SglSupport::none, 2 * page), 0) << "starts with the second piece";
  EXPECT_EQ(read_prps(page), (Pieces{{iova(10 * page), page}}));
  EXPECT_EQ(point(spans, 2 * page, SglSupport::none, 5 * page), EINVAL) << "beyond the end";
}

TEST_F(DataPointerTest, EmptyPiecesDoNotCount) {
  ASSERT_EQ(point({span(0, 0), span(page, page), span(7, 0), span(5 * page, page)}, 2 * page), 0);
  EXPECT_EQ(read_prps(2 * page), (Pieces{{iova(page), page}, {iova(5 * page), page}}));
}

TEST_F(DataPointerTest, MemoryInRunsOfDeviceAddresses) {
  memory_.contiguous = 4 * page;
  ASSERT_EQ(point({span(2 * page + 512, 8 * page)}, 8 * page), 0);
  const std::uint64_t run = reinterpret_cast<std::uintptr_t>(area_) / (4 * page);
  const auto at = [&](std::uint64_t offset) { return iova(offset) + (run + offset / (4 * page)) * page; };
  EXPECT_EQ(read_prps(8 * page),
            (Pieces{{at(2 * page + 512), 2 * page - 512}, {at(4 * page), 4 * page}, {at(8 * page), 2 * page + 512}}));
}

TEST_F(DataPointerTest, PiecesThatNeedAnSgl) {
  const std::vector spans{span(0, 512), span(page, 512), span(5 * page + 4, 1024)};
  EXPECT_EQ(point(spans, 2048), EINVAL);
  ASSERT_EQ(point(spans, 2048, SglSupport::byte_aligned), 0);
  EXPECT_EQ(read_sgl(), (Pieces{{iova(0), 512}, {iova(page), 512}, {iova(5 * page + 4), 1024}}));
  ASSERT_EQ(point(spans, 2048, SglSupport::dword_aligned), 0);
  EXPECT_EQ(point({span(1, 512)}, 512), EINVAL);
  EXPECT_EQ(point({span(1, 512)}, 512, SglSupport::dword_aligned), EINVAL);
  ASSERT_EQ(point({span(1, 512)}, 512, SglSupport::byte_aligned), 0);
  EXPECT_EQ(read_sgl(), (Pieces{{iova(1), 512}}));
}

TEST_F(DataPointerTest, SglFullAndTooLong) {
  std::vector<DmaSpan> spans;
  Pieces pieces;
  for (std::size_t i = 0; i < sgl_list_entries; ++i) {
    spans.push_back(span(i * page, 512));
    pieces.push_back({iova(i * page), 512});
  }
  ASSERT_EQ(point(spans, 512 * sgl_list_entries, SglSupport::byte_aligned), 0);
  EXPECT_EQ(read_sgl(), pieces);
  spans.push_back(span(sgl_list_entries * page, 512));
  EXPECT_EQ(point(spans, 512 * (sgl_list_entries + 1), SglSupport::byte_aligned), E2BIG);
}

TEST_F(DataPointerTest, MemoryThatNoDeviceReaches) {
  memory_.hole = area_ + 9 * page;
  EXPECT_EQ(point({span(8 * page, 4 * page)}, 4 * page, SglSupport::byte_aligned), EFAULT);
  EXPECT_EQ(point({span(0, 4 * page)}, 4 * page), 0);
}

TEST_F(DataPointerTest, Metadata) {
  spec::Command command;
  ASSERT_EQ(point_at_metadata(command, span(64, 128), memory_), 0);
  EXPECT_EQ(command.mptr, iova(64));
  EXPECT_EQ(point_at_metadata(command, span(65, 128), memory_), EINVAL);
  memory_.contiguous = page;
  EXPECT_EQ(point_at_metadata(command, span(page - 64, 128), memory_), EFAULT) << "it must be in one piece";
}

}  // namespace
}  // namespace spdkio::nvme::pcie
