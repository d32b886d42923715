// Failures on demand: injected errors, requests that hang or wait, lack of room, protection information.

#include <spdkio/runtime/scope.hpp>

#include "bdev/dif.hpp"
#include "conformance_fixture.hpp"

namespace spdkio::conformance {
namespace {

using bdev::ErrorAction;
using bdev::IoStatus;

class InjectionTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    block_on(bdev::create_malloc({.name = "Base", .num_blocks = 1024}));
    block_on(bdev::create_error({.base = "Base", .name = "Disk"}));
    desc_.emplace(open("Disk"));
    channel_ = desc_->io_channel();
    data_ = DmaBuf{512};
  }
  void TearDown() override {
    channel_.close();
    if (desc_ && !desc_->state()->closed()) block_on(desc_->close());
    desc_.reset();
    data_ = DmaBuf{};
    EngineTest::TearDown();
  }
  Result<> read(std::uint64_t block = 0) { return run(desc_->read(channel_, data_, blocks(block, 1))); }
  Result<> write(std::uint64_t block = 0) { return run(desc_->write(channel_, data_, blocks(block, 1))); }

  std::optional<BdevDesc> desc_;
  IoChannel channel_;
  DmaBuf data_;
};

TEST_F(InjectionTest, ByOperationAndCount) {
  bdev::inject_error("Disk", {.type = IoType::read, .count = 3});
  EXPECT_TRUE(write());
  for (int i = 0; i < 3; ++i) {
    const auto failed = read();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().nvme_status(), nvme_sc::internal_device_error);
    EXPECT_EQ(failed.error().operation(), "read");
    EXPECT_EQ(failed.error().device(), "Disk");
  }
  EXPECT_TRUE(read());
  const auto stats = run(desc_->bdev().stats());
  ASSERT_TRUE(stats);
  EXPECT_EQ((*stats)[IoType::read].errors, 3u);
  EXPECT_EQ((*stats)[IoType::read].operations, 4u);
}

TEST_F(InjectionTest, EveryOperation) {
  bdev::inject_error("Disk", {.type = {}, .count = UINT64_MAX});
  EXPECT_FALSE(read());
  EXPECT_FALSE(write());
  EXPECT_FALSE(run(desc_->flush(channel_)));
  EXPECT_FALSE(run(desc_->unmap(channel_, blocks(0, 1))));
  block_on(bdev::clear_errors("Disk"));
  EXPECT_TRUE(read());
}

TEST_F(InjectionTest, ByRange) {
  bdev::inject_error("Disk", {.type = IoType::write, .count = UINT64_MAX, .range = blocks(10, 5)});
  EXPECT_TRUE(write(9));
  EXPECT_FALSE(write(10));
  EXPECT_FALSE(write(14));
  EXPECT_TRUE(write(15));
}

TEST_F(InjectionTest, WithAnErrnoOrAnNvmeStatus) {
  bdev::inject_error("Disk", {.type = IoType::read, .count = 1, .status = IoStatus::system(ENOSPC)});
  EXPECT_EQ(code_of(read()), std::errc::no_space_on_device);
  bdev::inject_error("Disk",
                     {.type = IoType::read, .count = 1, .status = IoStatus::nvme(nvme_sc::unrecovered_read_error)});
  const auto failed = read();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().nvme_status(), nvme_sc::unrecovered_read_error);
  EXPECT_EQ(code_of(run(desc_->close())), std::error_code{});
  try {
    bdev::inject_error("Base", {});
    ADD_FAILURE() << "Base is no error device";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_device);
  }
}

TEST_F(InjectionTest, CorruptedDataIsNoticedAndUndoneForTheWriter) {
  fill_random(data_, 1);
  const DmaBuf kept{512};
  std::memcpy(kept.data(), data_.data(), 512);
  bdev::inject_error("Disk", {.type = IoType::write, .action = ErrorAction::corrupt_data, .corrupt_offset = 5});
  ASSERT_TRUE(write());
  EXPECT_TRUE(equal(data_, kept)) << "the writer's own buffer is as it was";
  const DmaBuf found{512};
  ASSERT_TRUE(run(desc_->read(channel_, found, blocks(0, 1))));
  EXPECT_EQ(found[5], kept[5] ^ std::byte{0xFF});
  found[5] = kept[5];
  EXPECT_TRUE(equal(found, kept));
}

TEST_F(InjectionTest, ATimeoutAbortsWhatHangs) {
  bdev::inject_error("Disk", {.type = IoType::read, .action = ErrorAction::pending});
  auto body = [&]() -> Task<> {
    auto result = co_await as_result(with_timeout(5ms, desc_->read(channel_, data_, blocks(0, 1))));
    EXPECT_EQ(code_of(result), std::errc::timed_out);
    if (!result) EXPECT_EQ(result.error().outcome(), Outcome::aborted) << result.error().what();
  };
  block_on(body());
  EXPECT_EQ(channel_.in_flight(), 0u);
  EXPECT_TRUE(read());
}

TEST_F(InjectionTest, AStopAbortsWhatHangs) {
  bdev::inject_error("Disk", {.type = {}, .action = ErrorAction::pending, .count = 20});
  int aborted = 0;
  auto body = [&]() -> Task<> {
    auto one = [&]() -> Task<> {
      auto result = co_await as_result(desc_->write(channel_, data_, blocks(0, 1)));
      if (code_of(result) == std::errc::operation_canceled && result.error().outcome() == Outcome::aborted) ++aborted;
    };
    Scope scope;
    for (int i = 0; i < 20; ++i) scope.spawn(one());
    for (int i = 0; i < 10; ++i) co_await yield();
    EXPECT_EQ(aborted, 0);
    EXPECT_EQ(channel_.in_flight(), 20u);
    scope.request_stop();
    co_await scope.join();
  };
  block_on(body());
  EXPECT_EQ(aborted, 20);
}

TEST_F(InjectionTest, ResetClearAndRemovalEndWhatHangs) {
  for (const int how : {0, 1, 2}) {
    bdev::inject_error("Disk", {.type = IoType::read, .action = ErrorAction::pending});
    Result<> result;
    auto body = [&]() -> Task<> {
      auto one = [&]() -> Task<> { result = co_await as_result(desc_->read(channel_, data_, blocks(0, 1))); };
      Scope scope;
      scope.spawn(one());
      co_await yield();
      EXPECT_EQ(channel_.in_flight(), 1u);
      if (how == 0) co_await desc_->reset(channel_);
      if (how == 1) co_await bdev::clear_errors("Disk");
      if (how == 2) co_await bdev::delete_error("Disk");
      co_await scope.join();
    };
    block_on(body());
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), how == 2 ? std::errc::no_such_device : std::errc::operation_canceled);
    EXPECT_EQ(result.error().outcome(), Outcome::aborted);
  }
}

TEST_F(InjectionTest, WhatFindsNoRoomIsTriedAgainInOrder) {
  bdev::inject_error("Disk", {.type = IoType::write, .action = ErrorAction::no_memory, .count = 7});
  constexpr std::size_t count = 20;
  const DmaBuf all{count * 512};
  std::vector<std::size_t> order;
  auto body = [&]() -> Task<> {
    auto one = [&](std::size_t i) -> Task<> {
      co_await desc_->write(channel_, all.subspan(i * 512, 512), blocks(0, 1));
      order.push_back(i);
    };
    Scope scope;
    for (std::size_t i = 0; i < count; ++i) {
      std::memset(all.data() + i * 512, static_cast<int>(i + 1), 512);
      scope.spawn(one(i));
    }
    co_await scope.join();
  };
  block_on(body());
  std::vector<std::size_t> expected(count);
  for (std::size_t i = 0; i < count; ++i) expected[i] = i;
  EXPECT_EQ(order, expected);
  ASSERT_TRUE(read());
  EXPECT_TRUE(all_equal_to(data_, std::byte{count})) << "the last one was executed last";
  EXPECT_EQ((*run(desc_->bdev().stats()))[IoType::write].operations, count) << "an attempt is no operation";
}

TEST_F(InjectionTest, WhatWaitsForRoomCanBeStopped) {
  bdev::inject_error("Disk", {.type = IoType::write, .action = ErrorAction::no_memory, .count = UINT64_MAX});
  auto body = [&]() -> Task<> {
    auto result = co_await as_result(with_timeout(5ms, desc_->write(channel_, data_, blocks(0, 1))));
    EXPECT_EQ(code_of(result), std::errc::timed_out);
    if (!result) EXPECT_EQ(result.error().outcome(), Outcome::never_submitted);
  };
  block_on(body());
  block_on(bdev::clear_errors("Disk"));
  EXPECT_TRUE(write());
}

class DelayTest : public EngineTest {};

TEST_F(DelayTest, ATimeoutGivesUpTheWaiting) {
  block_on(bdev::create_malloc({.name = "Base", .num_blocks = 64}));
  const std::chrono::microseconds hour = 1h;
  block_on(bdev::create_delay(
      {.name = "Disk",
       .base = "Base",
       .latencies = {.average_read = {}, .p99_read = {}, .average_write = hour, .p99_write = hour}}));
  BdevDesc desc = open("Disk");
  IoChannel channel = desc.io_channel();
  const DmaBuf data{512};
  fill_random(data, 1);
  auto body = [&]() -> Task<> {
    auto result = co_await as_result(with_timeout(5ms, desc.write(channel, data, blocks(0, 1))));
    EXPECT_EQ(code_of(result), std::errc::timed_out);
    if (!result) EXPECT_EQ(result.error().outcome(), Outcome::may_have_executed) << result.error().what();
  };
  block_on(body());
  const DmaBuf found{512};
  ASSERT_TRUE(run(desc.read(channel, found, blocks(0, 1)))) << "reads are not delayed";
  EXPECT_TRUE(equal(found, data)) << "the base had executed it";
  // What waits for its time ends at once when the device goes.
  Result<> result;
  auto removal = [&]() -> Task<> {
    auto one = [&]() -> Task<> { result = co_await as_result(desc.write(channel, data, blocks(1, 1))); };
    Scope scope;
    scope.spawn(one());
    for (int i = 0; i < 10; ++i) co_await yield();
    co_await bdev::delete_delay("Disk");
    co_await scope.join();
  };
  block_on(removal());
  EXPECT_TRUE(result) << "it was executed, only its answer was held back";
  channel.close();
  block_on(desc.close());
}

TEST_F(DelayTest, ImpossibleLatenciesAreRefused) {
  block_on(bdev::create_malloc({.name = "Base", .num_blocks = 64}));
  const auto refused = run(bdev::create_delay({.name = "Disk", .base = "Base", .latencies = {.average_read = 5us}}));
  EXPECT_EQ(code_of(refused), Misuse::invalid_argument);
  EXPECT_EQ(Bdev::find("Base")->claim().type, bdev::Claim::none) << "the base was let go again";
}

struct DifCase {
  const char* test_name;
  bdev::DifType type;
  bool interleaved;
  bool at_start;
  std::uint32_t metadata_size;
};

class DifTest : public EngineTest, public ::testing::WithParamInterface<DifCase> {
 protected:
  static constexpr std::size_t count = 4;

  /// Buffers with random data and protection information that suits the blocks from `lba`.
  void prepare(std::uint64_t lba) {
    fill_random(data_, 1);
    for (std::size_t i = 0; i < count; ++i) {
      bdev::generate_dif(GetParam().type, GetParam().at_start, data_of(i), metadata_of(i), lba + i);
    }
  }
  std::span<std::byte> data_of(std::size_t i) { return data_.bytes().subspan(i * stride(), 512); }
  std::span<std::byte> metadata_of(std::size_t i) {
    const std::size_t size = GetParam().metadata_size;
    return GetParam().interleaved ? data_.bytes().subspan(i * stride() + 512, size)
                                  : metadata_.bytes().subspan(i * size, size);
  }
  std::size_t stride() const { return 512 + (GetParam().interleaved ? GetParam().metadata_size : 0); }
  IoOptions options() const { return {.metadata = GetParam().interleaved ? DmaSpan{} : metadata_.span()}; }
  void SetUp() override {
    EngineTest::SetUp();
    block_on(bdev::create_malloc({.name = "Disk",
                                  .num_blocks = 64,
                                  .metadata_size = GetParam().metadata_size,
                                  .metadata_interleaved = GetParam().interleaved,
                                  .dif_type = GetParam().type,
                                  .dif_at_start_of_metadata = GetParam().at_start}));
    data_ = DmaBuf{count * stride()};
    metadata_ = DmaBuf{count * GetParam().metadata_size};
    desc_.emplace(open("Disk"));
    channel_ = desc_->io_channel();
  }
  void TearDown() override {
    channel_.close();
    block_on(desc_->close());
    desc_.reset();
    data_ = {};
    metadata_ = {};
    EngineTest::TearDown();
  }
  Result<> write(std::uint64_t lba) { return run(desc_->write(channel_, data_, blocks(lba, count), options())); }
  Result<> read(std::uint64_t lba) { return run(desc_->read(channel_, data_, blocks(lba, count), options())); }

  DmaBuf data_;
  DmaBuf metadata_;
  std::optional<BdevDesc> desc_;
  IoChannel channel_;
};
INSTANTIATE_TEST_SUITE_P(Of, DifTest,
                         ::testing::Values(DifCase{"Type1Interleaved", bdev::DifType::type1, true, false, 8},
                                           DifCase{"Type1Separate", bdev::DifType::type1, false, false, 8},
                                           DifCase{"Type1AtStart", bdev::DifType::type1, true, true, 16},
                                           DifCase{"Type2Separate", bdev::DifType::type2, false, false, 64},
                                           DifCase{"Type3Interleaved", bdev::DifType::type3, true, false, 16}),
                         [](const auto& instance) { return std::string(instance.param.test_name); });

TEST_P(DifTest, BlocksThatWereNeverWrittenAreNotChecked) { EXPECT_TRUE(read(0)); }

TEST_P(DifTest, GoodInformationIsStoredWithTheData) {
  prepare(8);
  const auto written = write(8);
  ASSERT_TRUE(written) << written.error().what();
  const std::vector<std::byte> data(data_.bytes().begin(), data_.bytes().end());
  const std::vector<std::byte> metadata(metadata_.bytes().begin(), metadata_.bytes().end());
  data_.fill(std::byte{0});
  metadata_.fill(std::byte{0});
  ASSERT_TRUE(read(8));
  EXPECT_TRUE(std::ranges::equal(data, data_.bytes()));
  if (!GetParam().interleaved) EXPECT_TRUE(std::ranges::equal(metadata, metadata_.bytes()));
}

TEST_P(DifTest, AWrongGuardIsRefusedAndNothingStored) {
  prepare(8);
  ASSERT_TRUE(write(8));
  data_of(2)[100] ^= std::byte{1};
  const auto refused = write(8);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().nvme_status(), nvme_sc::guard_check_error) << refused.error().what();
  data_of(2)[100] ^= std::byte{1};
  const std::vector<std::byte> data(data_.bytes().begin(), data_.bytes().end());
  ASSERT_TRUE(read(8));
  EXPECT_TRUE(std::ranges::equal(data, data_.bytes()));
}

TEST_P(DifTest, TheReferenceTagOfAnotherBlock) {
  prepare(8);
  const auto result = write(9);
  if (GetParam().type == bdev::DifType::type3) {
    EXPECT_TRUE(result) << "type 3 does not check it";
  } else {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().nvme_status(), nvme_sc::reference_tag_check_error) << result.error().what();
  }
}

TEST_P(DifTest, UnmappedBlocksAreReadableAgain) {
  prepare(8);
  ASSERT_TRUE(write(8));
  ASSERT_TRUE(run(desc_->unmap(channel_, blocks(8, count))));
  EXPECT_TRUE(read(8));
}

}  // namespace
}  // namespace spdkio::conformance
