// Data: what was written is read again, on every kind of device.

#include <spdkio/runtime/scope.hpp>

#include "conformance_fixture.hpp"

namespace spdkio::conformance {
namespace {

class TransferTest : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(On, TransferTest, ::testing::ValuesIn(all_kinds()),
                         [](const auto& instance) { return std::string(instance.param.test_name); });

TEST_P(TransferTest, WhatWasWrittenIsRead) {
  for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{7}, device_blocks - 64}) {
    const DmaBuf data = random_buffer(64, static_cast<unsigned>(first));
    const auto written = run(desc_->write(channel_, data, blocks(first, 64)));
    ASSERT_TRUE(written) << written.error().what();
    expect_content(blocks(first, 64), data);
  }
}

TEST_P(TransferTest, BytesAndBlocksNameTheSamePlace) {
  const DmaBuf data = random_buffer(4, 1);
  ASSERT_TRUE(run(desc_->write(channel_, data, ByteOffset{std::uint64_t{9} * block_size_})));
  expect_content(blocks(9, 4), data);
  const DmaBuf other = random_buffer(4, 2);
  ASSERT_TRUE(run(desc_->write(channel_, other, blocks(30, 4))));
  const DmaBuf found = buffer(4);
  ASSERT_TRUE(run(desc_->read(channel_, found, ByteOffset{std::uint64_t{30} * block_size_})));
  EXPECT_TRUE(equal(found, other));
}

TEST_P(TransferTest, NeighboursAreLeftAlone) {
  const DmaBuf around = random_buffer(12, 3);
  ASSERT_TRUE(run(desc_->write(channel_, around, blocks(100, 12))));
  const DmaBuf inner = random_buffer(4, 4);
  ASSERT_TRUE(run(desc_->write(channel_, inner, blocks(104, 4))));
  expect_content(blocks(100, 4), around.subspan(0, std::size_t{4} * block_size_));
  expect_content(blocks(104, 4), inner);
  expect_content(blocks(108, 4), around.subspan(std::size_t{8} * block_size_, std::size_t{4} * block_size_));
}

TEST_P(TransferTest, ScatterLists) {
  // Pieces of 1, 3, 2 and 10 blocks, not in the order of their addresses.
  const DmaBuf data = random_buffer(16, 5);
  const std::size_t b = block_size_;
  const std::array<DmaSpan, 4> out{data.subspan(10 * b, b), data.subspan(0, 3 * b), data.subspan(14 * b, 2 * b),
                                   data.subspan(3 * b, 7 * b)};
  ASSERT_TRUE(run(desc_->write(channel_, out, blocks(200, 13))));
  std::size_t at = 0;
  for (const DmaSpan& piece : out) {
    expect_content(blocks(200 + at / b, piece.size() / b), piece);
    at += piece.size();
  }
  const DmaBuf found = buffer(16);
  const std::array<DmaSpan, 3> in{found.subspan(8 * b, 8 * b), found.subspan(0, 4 * b), found.subspan(4 * b, b)};
  ASSERT_TRUE(run(desc_->read(channel_, in, blocks(200, 13))));
  const DmaBuf whole = buffer(13);
  ASSERT_TRUE(run(desc_->read(channel_, whole, blocks(200, 13))));
  EXPECT_TRUE(equal(in[0], whole.subspan(0, 8 * b)));
  EXPECT_TRUE(equal(in[1], whole.subspan(8 * b, 4 * b)));
  EXPECT_TRUE(equal(in[2], whole.subspan(12 * b, b)));
}

TEST_P(TransferTest, ScatterListsCutInsideABlock) {
  const std::size_t alignment = desc_->buffer_alignment();
  const std::size_t cut = std::max<std::size_t>(alignment, 4);
  const DmaBuf data = random_buffer(3, 6);
  const std::size_t first = std::min<std::size_t>(cut, block_size_);  // whole blocks, where buffers must be
  const std::array<DmaSpan, 3> pieces{data.subspan(0, first), data.subspan(first, block_size_),
                                      data.subspan(first + block_size_, 2 * block_size_ - first)};
  ASSERT_TRUE(run(desc_->write(channel_, pieces, blocks(5, 3))));
  expect_content(blocks(5, 3), data);
}

TEST_P(TransferTest, WriteZeroesUnmapAndFlush) {
  const DmaBuf data = random_buffer(32, 7);
  const DmaBuf zeroes = buffer(8);
  zeroes.fill(std::byte{0});
  ASSERT_TRUE(run(desc_->write(channel_, data, blocks(64, 32))));
  if (desc_->supports(IoType::write_zeroes)) {
    ASSERT_TRUE(run(desc_->write_zeroes(channel_, blocks(72, 8))));
    expect_content(blocks(72, 8), zeroes);
    const ByteRange bytes{ByteOffset{std::uint64_t{64} * block_size_}, ByteCount{std::uint64_t{8} * block_size_}};
    ASSERT_TRUE(run(desc_->write_zeroes(channel_, bytes)));
    expect_content(blocks(64, 8), zeroes);
    expect_content(blocks(80, 16), data.subspan(std::size_t{16} * block_size_, std::size_t{16} * block_size_));
  }
  if (desc_->supports(IoType::unmap)) {
    ASSERT_TRUE(run(desc_->unmap(channel_, blocks(80, 8))));
    expect_content(blocks(88, 8), data.subspan(std::size_t{24} * block_size_, std::size_t{8} * block_size_));
    ASSERT_TRUE(run(desc_->write(channel_, zeroes, blocks(80, 8))));
    expect_content(blocks(80, 8), zeroes);
  }
  ASSERT_TRUE(run(desc_->flush(channel_)));
}

TEST_P(TransferTest, CompareTellsADifference) {
  const DmaBuf data = random_buffer(4, 8);
  const std::array<DmaSpan, 1> expected{data};
  if (!desc_->supports(IoType::compare)) {
    EXPECT_EQ(code_of(run(desc_->compare(channel_, expected, blocks(3, 4)))), Misuse::not_supported);
    return;
  }
  ASSERT_TRUE(run(desc_->write(channel_, data, blocks(3, 4))));
  EXPECT_TRUE(run(desc_->compare(channel_, expected, blocks(3, 4))));
  data[data.size() - 1] ^= std::byte{1};
  const auto different = run(desc_->compare(channel_, expected, blocks(3, 4)));
  ASSERT_FALSE(different);
  EXPECT_EQ(different.error().nvme_status(), nvme_sc::compare_failure) << different.error().what();
}

TEST_P(TransferTest, CompareAndWriteChangesAllOrNothing) {
  const DmaBuf old_data = random_buffer(2, 9);
  const DmaBuf new_data = random_buffer(2, 10);
  const std::array<DmaSpan, 1> expected{old_data};
  const std::array<DmaSpan, 2> data{new_data.subspan(0, block_size_), new_data.subspan(block_size_, block_size_)};
  ASSERT_TRUE(run(desc_->write(channel_, old_data, blocks(40, 2))));
  if (!desc_->supports(IoType::compare_and_write)) {
    const auto refused = run(desc_->compare_and_write(channel_, expected, data, blocks(40, 2)));
    EXPECT_EQ(code_of(refused), Misuse::not_supported);
    expect_content(blocks(40, 2), old_data);
    return;
  }
  const auto both = run(desc_->compare_and_write(channel_, expected, data, blocks(40, 2)));
  if (!both && env_->engine().name() == "spdk") {
    // SPDK does it for as many blocks as the device is atomic for, and refuses more.
    EXPECT_EQ(code_of(both), std::errc::invalid_argument) << both.error().what();
    EXPECT_EQ(both.error().outcome(), Outcome::never_submitted);
    expect_content(blocks(40, 2), old_data);
    const std::array<DmaSpan, 1> old_block{old_data.subspan(0, block_size_)};
    const std::array<DmaSpan, 1> new_block{new_data.subspan(0, block_size_)};
    ASSERT_TRUE(run(desc_->compare_and_write(channel_, old_block, new_block, blocks(40, 1))));
    expect_content(blocks(40, 1), new_block[0]);
    const auto differs = run(desc_->compare_and_write(channel_, old_block, new_block, blocks(40, 1)));
    ASSERT_FALSE(differs);
    EXPECT_EQ(differs.error().nvme_status(), nvme_sc::compare_failure);
    return;
  }
  ASSERT_TRUE(both) << both.error().what();
  expect_content(blocks(40, 2), new_data);
  const auto again = run(desc_->compare_and_write(channel_, expected, data, blocks(40, 2)));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().nvme_status(), nvme_sc::compare_failure);
  expect_content(blocks(40, 2), new_data);
  const std::array<DmaSpan, 1> too_short{new_data.subspan(0, block_size_)};
  EXPECT_EQ(code_of(run(desc_->compare_and_write(channel_, expected, too_short, blocks(40, 2)))), Misuse::buffer_size);
}

TEST_P(TransferTest, Copy) {
  if (!desc_->supports(IoType::copy)) {
    EXPECT_EQ(code_of(run(desc_->copy(channel_, blocks(0, 16), Lba{500}))), Misuse::not_supported);
    return;
  }
  const DmaBuf data = random_buffer(16, 11);
  ASSERT_TRUE(run(desc_->write(channel_, data, blocks(0, 16))));
  ASSERT_TRUE(run(desc_->copy(channel_, blocks(0, 16), Lba{500})));
  expect_content(blocks(500, 16), data);
  ASSERT_TRUE(run(desc_->copy(channel_, blocks(500, 16), Lba{508})));  // onto itself, shifted
  expect_content(blocks(508, 16), data);
  EXPECT_EQ(code_of(run(desc_->copy(channel_, blocks(device_blocks - 1, 2), Lba{0}))), Misuse::out_of_range);
  EXPECT_EQ(code_of(run(desc_->copy(channel_, blocks(0, 2), Lba{device_blocks - 1}))), Misuse::out_of_range);
}

TEST_P(TransferTest, SeekFindsDataInsideTheDevice) {
  if (!desc_->supports(IoType::seek_data)) {
    EXPECT_EQ(code_of(run(desc_->seek_data(channel_, Lba{0}))), Misuse::not_supported);
    EXPECT_EQ(code_of(run(desc_->seek_hole(channel_, Lba{0}))), Misuse::not_supported);
    return;
  }
  const DmaBuf data = random_buffer(64, 12);
  if (desc_->supports(IoType::unmap)) ASSERT_TRUE(run(desc_->unmap(channel_, blocks(0, device_blocks))));
  const auto nothing = run(desc_->seek_data(channel_, Lba{0}));
  ASSERT_TRUE(nothing) << nothing.error().what();
  ASSERT_TRUE(run(desc_->write(channel_, data, blocks(1024, 64))));
  const auto found = run(desc_->seek_data(channel_, Lba{0}));
  ASSERT_TRUE(found) << found.error().what();
  ASSERT_TRUE(found->has_value());
  EXPECT_LE((*found)->value, 1024u);
  const auto hole = run(desc_->seek_hole(channel_, Lba{1024}));
  ASSERT_TRUE(hole) << hole.error().what();
  if (hole->has_value()) {
    EXPECT_GE((*hole)->value, 1024u + 64);
    EXPECT_LT((*hole)->value, device_blocks);
  }
  EXPECT_EQ(code_of(run(desc_->seek_data(channel_, Lba{device_blocks + 1}))), Misuse::out_of_range);
}

TEST_P(TransferTest, AThousandInFlight) {
  constexpr std::size_t count = 1000;
  const DmaBuf data = random_buffer(count, 13);
  const DmaBuf found = buffer(count);
  auto one = [&](std::size_t i, bool write) -> Task<> {
    const DmaSpan piece = (write ? data : found).subspan(i * block_size_, block_size_);
    if (write) {
      co_await desc_->write(channel_, piece, blocks(i, 1));
    } else {
      co_await desc_->read(channel_, piece, blocks(i, 1));
    }
  };
  auto all = [&](bool write) -> Task<> {
    Scope scope;
    for (std::size_t i = 0; i < count; ++i) scope.spawn(one(i, write));
    co_await scope.join();
  };
  for (const bool write : {true, false}) {
    const auto ended = run(all(write));
    ASSERT_TRUE(ended) << ended.error().what();
  }
  EXPECT_TRUE(equal(data, found));
  EXPECT_EQ(channel_.in_flight(), 0u);
}

TEST_P(TransferTest, SupportsAgreesWithWhatHappens) {
  const DmaBuf data = buffer(1);
  const std::array<DmaSpan, 1> list{data};
  std::array<bdev::ZoneInfo, 1> zones{};
  const bdev::NvmeCommand command{};
  const auto agree = [&](IoType type, auto operation) {
    const auto result = run(std::move(operation));
    if (desc_->supports(type)) {
      EXPECT_TRUE(result) << to_string(type) << ": " << result.error().what();
    } else {
      EXPECT_EQ(code_of(result), Misuse::not_supported) << to_string(type);
      if (!result) EXPECT_EQ(result.error().outcome(), Outcome::never_submitted);
    }
  };
  agree(IoType::write, desc_->write(channel_, data, blocks(0, 1)));
  agree(IoType::read, desc_->read(channel_, data, blocks(0, 1)));
  agree(IoType::compare, desc_->compare(channel_, list, blocks(0, 1)));
  agree(IoType::compare_and_write, desc_->compare_and_write(channel_, list, list, blocks(0, 1)));
  agree(IoType::write_zeroes, desc_->write_zeroes(channel_, blocks(0, 1)));
  agree(IoType::unmap, desc_->unmap(channel_, blocks(0, 1)));
  agree(IoType::flush, desc_->flush(channel_));
  agree(IoType::reset, desc_->reset(channel_));
  agree(IoType::copy, desc_->copy(channel_, blocks(0, 1), Lba{8}));
  agree(IoType::seek_data, desc_->seek_data(channel_, Lba{0}));
  agree(IoType::seek_hole, desc_->seek_hole(channel_, Lba{0}));
  agree(IoType::zone_report, desc_->zone_report(channel_, Lba{0}, zones));
  agree(IoType::zone_management, desc_->zone_management(channel_, Lba{0}, bdev::ZoneAction::open));
  agree(IoType::zone_append, desc_->zone_append(channel_, data, Lba{0}));
  agree(IoType::nvme_admin, desc_->nvme_admin(channel_, command, {}));
  agree(IoType::nvme_io, desc_->nvme_io(channel_, command, {}));
}

}  // namespace
}  // namespace spdkio::conformance
