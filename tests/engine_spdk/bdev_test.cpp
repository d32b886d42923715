// SPDK's own block devices: what happens to requests when SPDK removes, resizes, delays or has no room.
#include "spdk_fixture.hpp"

namespace spdkio::spdk_test {
namespace {

class SpdkBdevTest : public SpdkTest {
 protected:
  /// Writes to `device` without an end while `method` takes it, or what it stands on, away.
  static void remove_under_io(const std::string& device, const std::string& method, Json params) {
    constexpr std::size_t workers = 64;
    Open open(device);
    const DmaBuf data{workers * 512};
    std::size_t done = 0;
    std::size_t refused = 0;
    std::optional<bdev::BdevEvent> event;
    auto worker = [&](std::size_t i) -> Task<> {
      for (;;) {
        auto result = co_await as_result(open.desc.write(open.channel, data.subspan(i * 512, 512), blocks(i * 16, 1)));
        if (!result) {
          EXPECT_EQ(result.error().code(), std::errc::no_such_device) << result.error().what();
          ++refused;
          co_return;
        }
        ++done;
      }
    };
    auto listen = [&]() -> Task<> { event = co_await open.desc.next_event(); };
    auto all = [&]() -> Task<> {
      Scope scope;
      for (std::size_t i = 0; i < workers; ++i) scope.spawn(worker(i));
      scope.spawn(listen());
      while (done < 4 * workers) co_await yield();
      auto removal = call_spdk(method, std::move(params));
      co_await std::move(removal);
      co_await scope.join();
    };
    const auto ended = run(all());
    ASSERT_TRUE(ended) << ended.error().what();
    EXPECT_EQ(refused, workers);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->type, bdev::BdevEventType::remove);
    EXPECT_FALSE(Bdev::find(device));
    EXPECT_EQ(open.channel.in_flight(), 0u);
  }
};

TEST_F(SpdkBdevTest, DeletedUnderIo) {
  make_malloc("Disk");
  remove_under_io("Disk", "bdev_malloc_delete", {{"name", "Disk"}});
  make_null("Disk", device_blocks);
  remove_under_io("Disk", "bdev_null_delete", {{"name", "Disk"}});
  make_malloc("Base");
  ask("bdev_error_create", {{"base_name", "Base"}});
  remove_under_io("EE_Base", "bdev_error_delete", {{"name", "EE_Base"}});
}

TEST_F(SpdkBdevTest, ItsBaseIsDeletedUnderIo) {
  make_malloc("Base");
  ask("bdev_passthru_create", {{"name", "Disk"}, {"base_bdev_name", "Base"}});
  remove_under_io("Disk", "bdev_malloc_delete", {{"name", "Base"}});
  EXPECT_TRUE(Bdev::all().empty());
}

TEST_F(SpdkBdevTest, GrowsWhileItIsOpen) {
  make_null("Disk", 2048);
  Open open("Disk");
  const DmaBuf data{512};
  EXPECT_EQ(code_of(run(open.desc.read(open.channel, data, blocks(2048, 1)))), Misuse::out_of_range);
  ask("bdev_null_resize", {{"name", "Disk"}, {"new_size", 2}});  // MiB
  const auto event = run(open.desc.next_event());
  ASSERT_TRUE(event && *event);
  EXPECT_EQ((*event)->type, bdev::BdevEventType::resize);
  EXPECT_EQ((*event)->num_blocks, BlockCount{4096});
  EXPECT_EQ(open.desc.num_blocks(), BlockCount{4096});
  EXPECT_TRUE(run(open.desc.read(open.channel, data, blocks(4095, 1))));
}

TEST_F(SpdkBdevTest, WhatSpdkCanAbortIsAborted) {
  make_malloc("Base");
  make_delay("Slow", "Base", 30s);
  Open open("Slow");
  ASSERT_TRUE(open.desc.supports(IoType::abort));
  const DmaBuf data{512};
  auto body = [&]() -> Task<> {
    auto result = co_await as_result(with_timeout(20ms, open.desc.read(open.channel, data, blocks(0, 1))));
    EXPECT_EQ(code_of(result), std::errc::timed_out);
    if (!result) EXPECT_EQ(result.error().outcome(), Outcome::aborted) << result.error().what();
  };
  const auto ended = run(body());
  EXPECT_TRUE(ended) << ended.error().what();
  EXPECT_EQ(open.channel.in_flight(), 0u);
}

TEST_F(SpdkBdevTest, WhatSpdkCannotAbortRunsToItsEnd) {
  Json params = {{"name", "Disk"}, {"filename", make_file("disk", device_blocks * 512)}, {"block_size", 512}};
  ask("bdev_aio_create", std::move(params));
  Open open("Disk");
  ASSERT_FALSE(open.desc.supports(IoType::abort));
  const DmaBuf data{512};
  fill_random(data, 1);
  const DmaBuf found{512};
  auto body = [&]() -> Task<> {
    Scope scope;
    auto one = [&]() -> Task<> {
      const auto result = co_await as_result(open.desc.write(open.channel, data, blocks(7, 1)));
      EXPECT_TRUE(result) << result.error().what();
    };
    scope.spawn(one());
    co_await yield();
    scope.request_stop();
    co_await scope.join();
  };
  const auto ended = run(body());
  EXPECT_TRUE(ended) << ended.error().what();
  ASSERT_TRUE(run(open.desc.read(open.channel, found, blocks(7, 1))));
  EXPECT_TRUE(equal(data, found));
}

TEST_F(SpdkBdevTest, InjectedErrorsKeepTheirStatus) {
  make_malloc("Base");
  ask("bdev_error_create", {{"base_name", "Base"}});
  Open open("EE_Base");
  const DmaBuf data{512};
  ask("bdev_error_inject_error", {{"name", "EE_Base"},
                                  {"io_type", "read"},
                                  {"error_type", "nvme_failure"},
                                  {"nvme_sct", 2},
                                  {"nvme_sc", 0x81},
                                  {"num", 1}});
  const auto failed = run(open.desc.read(open.channel, data, blocks(0, 1)));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().nvme_status(), nvme_sc::unrecovered_read_error) << failed.error().what();
  EXPECT_EQ(failed.error().device(), "EE_Base");
  EXPECT_TRUE(run(open.desc.read(open.channel, data, blocks(0, 1))));
}

TEST_F(SpdkBdevTest, AResetEndsWhatHangs) {
  make_malloc("Base");
  ask("bdev_error_create", {{"base_name", "Base"}});
  Open open("EE_Base");
  const DmaBuf data{512};
  ask("bdev_error_inject_error", {{"name", "EE_Base"}, {"io_type", "read"}, {"error_type", "pending"}, {"num", 1}});
  Result<> result;
  auto body = [&]() -> Task<> {
    auto one = [&]() -> Task<> { result = co_await as_result(open.desc.read(open.channel, data, blocks(0, 1))); };
    Scope scope;
    scope.spawn(one());
    for (int i = 0; i < 100; ++i) co_await yield();
    EXPECT_EQ(open.channel.in_flight(), 1u);
    co_await open.desc.reset(open.channel);
    co_await scope.join();
  };
  const auto ended = run(body());
  ASSERT_TRUE(ended) << ended.error().what();
  EXPECT_FALSE(result);
  EXPECT_TRUE(run(open.desc.read(open.channel, data, blocks(0, 1))));
}

}  // namespace
}  // namespace spdkio::spdk_test
