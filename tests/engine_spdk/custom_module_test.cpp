// A module written against this library, used by SPDK's: SPDK's passthru stands on it.
#include <spdkio/bdev/coroutine_device.hpp>

#include "spdk_fixture.hpp"

namespace spdkio::spdk_test {
namespace {

/// Blocks in ordinary memory; counts what arrives, and fails where it is told to.
class Shelf final : public bdev::CoroutineDevice {
 public:
  Shelf()
      : CoroutineDevice("Shelf", "shelf", {.block_size = 512, .num_blocks = device_blocks},
                        {IoType::read, IoType::write, IoType::unmap, IoType::flush, IoType::reset}),
        content_(device_blocks * 512) {}

  static constexpr std::uint64_t bad_block = 1000;

  Task<> serve(bdev::IoRequest& io) override {
    ++requests;
    longest_list = std::max(longest_list, io.buffers().size());
    if (io.range().first.value == bad_block) throw Error(nvme_sc::unrecovered_read_error);
    if (requests % 3 == 0) co_await yield();  // ends later than it came
    std::size_t at = io.range().first.value * 512;
    if (io.type() == IoType::unmap) std::memset(content_.data() + at, 0, io.range().count.value * 512);
    for (const DmaSpan piece : io.buffers()) {
      if (io.type() == IoType::read) std::memcpy(piece.data(), content_.data() + at, piece.size());
      if (io.type() == IoType::write) std::memcpy(content_.data() + at, piece.data(), piece.size());
      at += piece.size();
    }
  }

  std::size_t requests = 0;
  std::size_t longest_list = 0;

 private:
  std::vector<std::byte> content_;
};

class CustomModuleTest : public SpdkTest {
 protected:
  void SetUp() override {
    SpdkTest::SetUp();
    auto made = std::make_unique<Shelf>();
    shelf_ = made.get();
    block_on(bdev::Service::current().register_device(std::move(made)));
    ask("bdev_passthru_create", {{"name", "Through"}, {"base_bdev_name", "Shelf"}});
    shelf_->requests = 0;
  }
  Shelf* shelf_ = nullptr;
};

TEST_F(CustomModuleTest, IsABdevOfSpdks) {
  const Json described = ask("bdev_get_bdevs", {{"name", "Shelf"}});
  ASSERT_EQ(described.size(), 1u);
  EXPECT_EQ(described[0]["product_name"], "shelf");
  EXPECT_EQ(described[0]["num_blocks"], device_blocks);
  EXPECT_EQ(described[0]["claimed"], true) << "by SPDK's passthru";
  EXPECT_EQ(described[0]["supported_io_types"]["unmap"], true);
  EXPECT_EQ(described[0]["supported_io_types"]["copy"], false);
}

TEST_F(CustomModuleTest, ServesSpdksRequests) {
  Open open("Through");
  const DmaBuf data{64 * 512};
  fill_random(data, 3);
  const DmaBuf found{64 * 512};
  // SPDK's own count of pieces: in the request, in a list, and more than it sends on at once.
  for (const std::size_t pieces : {1, 4, 8, 9, 32, 33, 64}) {
    std::vector<DmaSpan> from;
    std::vector<DmaSpan> to;
    for (std::size_t i = 0; i < pieces; ++i) {
      from.push_back(data.subspan(i * 512, 512));
      to.push_back(found.subspan(i * 512, 512));
    }
    found.fill(std::byte{0});
    const auto written = run(open.desc.write(open.channel, DmaSpans{from}, blocks(pieces, pieces)));
    ASSERT_TRUE(written) << written.error().what();
    const auto read = run(open.desc.read(open.channel, DmaSpans{to}, blocks(pieces, pieces)));
    ASSERT_TRUE(read) << read.error().what();
    EXPECT_TRUE(equal(data.subspan(0, pieces * 512), found.subspan(0, pieces * 512))) << pieces;
  }
  EXPECT_GE(shelf_->requests, 14u);
  EXPECT_EQ(shelf_->longest_list, 32u);
}

TEST_F(CustomModuleTest, ManyInFlightThroughSpdk) {
  constexpr std::size_t count = 256;
  Open open("Through");
  const DmaBuf data{count * 512};
  fill_random(data, 4);
  auto all = [&]() -> Task<> {
    auto one = [&](std::size_t i) -> Task<> {
      co_await open.desc.write(open.channel, data.subspan(i * 512, 512), blocks(i, 1));
    };
    Scope scope;
    for (std::size_t i = 0; i < count; ++i) scope.spawn(one(i));
    co_await scope.join();
  };
  const auto ended = run(all());
  ASSERT_TRUE(ended) << ended.error().what();
  const DmaBuf found{count * 512};
  Open direct("Shelf", Access::read_only);
  ASSERT_TRUE(run(direct.desc.read(direct.channel, found, blocks(0, count))));
  EXPECT_TRUE(equal(data, found)) << "programs reach the device without SPDK";
}

TEST_F(CustomModuleTest, ItsErrorsArriveWhole) {
  Open open("Through");
  const DmaBuf data{512};
  const auto failed = run(open.desc.read(open.channel, data, blocks(Shelf::bad_block, 1)));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().nvme_status(), nvme_sc::unrecovered_read_error) << failed.error().what();
  EXPECT_EQ(failed.error().device(), "Through");
}

TEST_F(CustomModuleTest, ItsRemovalTakesWhatStandsOnIt) {
  Open open("Through");
  const DmaBuf data{512};
  ASSERT_TRUE(run(open.desc.write(open.channel, data, blocks(0, 1))));
  unregister("Shelf");
  shelf_ = nullptr;
  const auto event = run(open.desc.next_event());
  ASSERT_TRUE(event && *event);
  EXPECT_EQ((*event)->type, bdev::BdevEventType::remove);
  EXPECT_EQ(code_of(run(open.desc.write(open.channel, data, blocks(0, 1)))), std::errc::no_such_device);
}

TEST_F(CustomModuleTest, OneThatHoldsReadsNeitherHangsItsRegistrationNorItsRemoval) {
  const std::chrono::microseconds hour = 1h;
  const bdev::DelayOptions slow{.name = "Slow", .base = "Shelf", .latencies = {.average_read = hour, .p99_read = hour}};
  ask("bdev_passthru_delete", {{"name", "Through"}});
  ASSERT_TRUE(run(bdev::create_delay(slow))) << "SPDK's modules read it to look for partitions";
  EXPECT_EQ(ask("bdev_get_bdevs", {{"name", "Slow"}}).size(), 1u);
  ASSERT_TRUE(run(bdev::delete_delay("Slow")));
  EXPECT_FALSE(Bdev::find("Slow"));
}

TEST_F(CustomModuleTest, ItsNewSizeIsToldToSpdk) {
  unregister("Shelf");
  auto made = bdev::create_null({.name = "Plain", .num_blocks = 100});
  ASSERT_TRUE(run(std::move(made)));
  bdev::Service::current().notify_resize("Plain", BlockCount{200});
  EXPECT_EQ(ask("bdev_get_bdevs", {{"name", "Plain"}})[0]["num_blocks"], 200);
}

}  // namespace
}  // namespace spdkio::spdk_test
