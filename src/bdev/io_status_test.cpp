#include <spdkio/bdev/io_status.hpp>

#include <gtest/gtest.h>

#include <cerrno>

namespace spdkio::bdev {
namespace {

TEST(IoStatusTest, KeepsWhatAnErrorSaid) {
  const NvmeStatus status{.sct = 2, .sc = 0x81, .dnr = true, .more = true, .crd = 3};
  EXPECT_EQ(IoStatus::nvme(status).nvme_status(), status);
  for (const IoStatus& each : {IoStatus::system(ENOSPC), IoStatus::system(EIO, Outcome::may_have_executed),
                               IoStatus::nvme(status, Outcome::aborted), IoStatus::misuse(Misuse::out_of_range),
                               IoStatus::cancelled(Outcome::aborted)}) {
    EXPECT_EQ(IoStatus::from(each.to_error()), each) << each.to_error().what();
  }
}

TEST(IoStatusTest, OnlyARefusalForLackOfRoomIsTriedAgain) {
  EXPECT_TRUE(IoStatus::no_memory().is_no_memory());
  EXPECT_FALSE(IoStatus::system(ENOMEM).is_no_memory()) << "the device ran out while it executed it";
  EXPECT_FALSE(IoStatus::success().is_no_memory());
}

TEST(IoStatusTest, AnNvmeSuccessIsASuccess) {
  EXPECT_TRUE(IoStatus::nvme(nvme_sc::success).ok());
  EXPECT_FALSE(IoStatus::nvme(nvme_sc::compare_failure).ok());
}

}  // namespace
}  // namespace spdkio::bdev
