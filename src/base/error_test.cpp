#include <spdkio/base/error.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <new>
#include <stdexcept>
#include <type_traits>

namespace spdkio {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

static_assert(std::is_nothrow_copy_constructible_v<Error>);
static_assert(std::is_base_of_v<std::system_error, Error>);

TEST(Error, OfAnErrno) {
  const Error error = Error::from_errno(ENOSPC, "cannot extend the file");
  EXPECT_EQ(error.code(), std::errc::no_space_on_device);
  EXPECT_EQ(error.to_errno(), ENOSPC);
  EXPECT_EQ(error.message(), "cannot extend the file");
  EXPECT_STREQ(error.what(), "cannot extend the file (No space left on device)");
  EXPECT_FALSE(error.is_misuse());
  EXPECT_FALSE(error.nvme_status().has_value());
  EXPECT_FALSE(error.range().has_value());
  EXPECT_EQ(error.outcome(), Outcome::failed);
}

TEST(Error, OfAnErrc) {
  EXPECT_EQ(Error(std::errc::timed_out).to_errno(), ETIMEDOUT);
  EXPECT_STREQ(Error(std::errc::timed_out).what(), "Connection timed out");
}

TEST(Error, OfAnNvmeStatusKeepsItWhole) {
  const NvmeStatus status{.sct = 2, .sc = 0x81, .dnr = true, .more = true, .crd = 2};
  const Error error(status);
  ASSERT_TRUE(error.nvme_status().has_value());
  EXPECT_EQ(*error.nvme_status(), status);
  EXPECT_EQ(error.code().category(), nvme_category());
  EXPECT_EQ(error.code().value(), 0x281);
  EXPECT_EQ(error.code().message(), "Unrecovered Read Error");
  EXPECT_EQ(error.to_errno(), EIO);
  EXPECT_STREQ(error.what(), "Unrecovered Read Error (SCT 0x2, SC 0x81, DNR, More, CRD 2)");
}

TEST(Error, OfAnNvmeStatusComparesWithErrc) {
  EXPECT_EQ(Error(nvme_sc::capacity_exceeded).code(), std::errc::no_space_on_device);
  EXPECT_EQ(Error(nvme_sc::abort_requested).code(), std::errc::operation_canceled);
  EXPECT_EQ(Error(nvme_sc::invalid_opcode).code(), std::errc::operation_not_supported);
}

TEST(Error, OfAMisuse) {
  const Error error(Misuse::misaligned, "offset 7 is not a multiple of 512");
  EXPECT_TRUE(error.is_misuse());
  EXPECT_EQ(error.code(), Misuse::misaligned);
  EXPECT_EQ(error.to_errno(), EINVAL);
  EXPECT_STREQ(error.what(), "offset 7 is not a multiple of 512");
  EXPECT_STREQ(Error(Misuse::misaligned).what(), "misaligned request");
}

TEST(Error, EveryMisuseHasItsTextAndErrno) {
  for (int value = static_cast<int>(Misuse::wrong_thread); value <= static_cast<int>(Misuse::callback_threw); ++value) {
    const Error error(static_cast<Misuse>(value));
    EXPECT_NE(error.code().message(), "unknown misuse") << value;
    EXPECT_GT(error.to_errno(), 0) << value;
  }
  EXPECT_EQ(make_error_code(static_cast<Misuse>(99)).message(), "unknown misuse");
  EXPECT_STREQ(misuse_category().name(), "spdkio.misuse");
  EXPECT_STREQ(nvme_category().name(), "nvme");
  EXPECT_EQ(Error(Misuse::already_closed).to_errno(), EBADF);
  EXPECT_EQ(Error(Misuse::wrong_thread).to_errno(), EPERM);
  EXPECT_EQ(Error(Misuse::would_block).to_errno(), EPERM);
  EXPECT_EQ(Error(Misuse::not_started).to_errno(), ENODEV);
  EXPECT_EQ(Error(Misuse::already_started).to_errno(), EBUSY);
  EXPECT_EQ(Error(Misuse::read_only).to_errno(), EROFS);
  EXPECT_EQ(Error(Misuse::not_supported).to_errno(), EOPNOTSUPP);
}

TEST(Error, MisuseConvertsToAnErrorCode) {
  const std::error_code code = Misuse::buffer_size;
  EXPECT_EQ(code, Misuse::buffer_size);
  EXPECT_EQ(&code.category(), &misuse_category());
}

TEST(Error, TellsTheWholeStory) {
  const Error error = Error(nvme_sc::lba_out_of_range, "the disk is shorter than its table says")
                          .with_operation("read")
                          .with_device("Malloc0")
                          .with_range({Lba{100}, BlockCount{8}})
                          .with_outcome(Outcome::may_have_executed)
                          .with_context("while verifying Malloc0")
                          .with_context("in bench")
                          .with_hint("check num_blocks");
  EXPECT_STREQ(error.what(),
               "read on Malloc0, blocks 100+8: the disk is shorter than its table says "
               "(LBA Out of Range (SCT 0x0, SC 0x80)) [may have executed]; while verifying Malloc0; in bench. "
               "Hint: check num_blocks");
  EXPECT_EQ(error.operation(), "read");
  EXPECT_EQ(error.device(), "Malloc0");
  EXPECT_EQ(error.range(), (LbaRange{Lba{100}, BlockCount{8}}));
  EXPECT_EQ(error.outcome(), Outcome::may_have_executed);
  EXPECT_THAT(error.context(), ElementsAre("while verifying Malloc0", "in bench"));
  EXPECT_EQ(error.hint(), "check num_blocks");
  EXPECT_EQ(error.nvme_status(), nvme_sc::lba_out_of_range);
}

TEST(Error, PartsReadWellAlone) {
  const Error error = Error::from_errno(EIO);
  EXPECT_STREQ(error.with_operation("flush").what(), "flush: Input/output error");
  EXPECT_STREQ(error.with_device("disk0").what(), "disk0: Input/output error");
  EXPECT_STREQ(error.with_range({Lba{1}, BlockCount{2}}).what(), "blocks 1+2: Input/output error");
  EXPECT_STREQ(error.with_outcome(Outcome::aborted).what(), "Input/output error [aborted]");
  EXPECT_STREQ(error.with_outcome(Outcome::failed).what(), "Input/output error");
  EXPECT_STREQ(error.with_context("on the way").what(), "Input/output error; on the way");
  EXPECT_STREQ(error.with_hint("try again").what(), "Input/output error. Hint: try again");
}

TEST(Error, MisuseSaysNothingOfTheOutcome) {
  const Error error = Error(Misuse::out_of_range, "beyond the end").with_outcome(Outcome::never_submitted);
  EXPECT_STREQ(error.what(), "beyond the end");
  EXPECT_EQ(error.outcome(), Outcome::never_submitted);
}

TEST(Error, EditsLeaveTheOriginalAlone) {
  const Error original = Error::from_errno(EIO, "lost");
  const Error edited = original.with_operation("write").with_context("a");
  const Error edited_again = edited.with_operation("read").with_context("b");
  EXPECT_STREQ(original.what(), "lost (Input/output error)");
  EXPECT_TRUE(original.operation().empty());
  EXPECT_THAT(original.context(), IsEmpty());
  EXPECT_EQ(edited.operation(), "write");
  EXPECT_THAT(edited.context(), ElementsAre("a"));
  EXPECT_EQ(edited_again.operation(), "read");
  EXPECT_THAT(edited_again.context(), ElementsAre("a", "b"));
  EXPECT_EQ(edited_again.code(), original.code());
}

TEST(Error, CopiesShareAndOutliveTheOriginal) {
  Error copy = Error::from_errno(EIO);
  {
    const Error original = Error(nvme_sc::write_fault, "worn out").with_device("disk1");
    copy = original;
    EXPECT_EQ(static_cast<const void*>(copy.what()), static_cast<const void*>(original.what()));
  }
  EXPECT_EQ(copy.device(), "disk1");
  EXPECT_EQ(copy.nvme_status(), nvme_sc::write_fault);
  EXPECT_STREQ(copy.what(), "disk1: worn out (Write Fault (SCT 0x2, SC 0x80))");
}

TEST(Error, IsCaughtAsASystemError) {
  try {
    throw Error(Misuse::read_only);
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), Misuse::read_only);
    EXPECT_STREQ(error.what(), "write through a read-only descriptor");
  }
}

template <class Exception>
Error from_thrown(const Exception& exception) {
  try {
    throw exception;
  } catch (...) {
    return Error::from_current_exception();
  }
}

TEST(ErrorFromCurrentException, IsItselfForAnError) {
  const Error thrown = Error(nvme_sc::compare_failure).with_device("disk0");
  const Error caught = from_thrown(thrown);
  EXPECT_STREQ(caught.what(), thrown.what());
  EXPECT_EQ(caught.nvme_status(), nvme_sc::compare_failure);
}

TEST(ErrorFromCurrentException, KeepsTheCodeOfASystemError) {
  const Error caught = from_thrown(std::system_error(EACCES, std::generic_category(), "open"));
  EXPECT_EQ(caught.to_errno(), EACCES);
  EXPECT_FALSE(caught.is_misuse());
  EXPECT_THAT(caught.what(), HasSubstr("open"));
}

TEST(ErrorFromCurrentException, KnowsOutOfMemory) { EXPECT_EQ(from_thrown(std::bad_alloc{}).to_errno(), ENOMEM); }

TEST(ErrorFromCurrentException, WrapsWhatElseThereIs) {
  const Error standard = from_thrown(std::runtime_error("broken"));
  EXPECT_EQ(standard.code(), Misuse::callback_threw);
  EXPECT_STREQ(standard.what(), "broken");
  const Error foreign = from_thrown(42);
  EXPECT_EQ(foreign.code(), Misuse::callback_threw);
  EXPECT_THAT(foreign.what(), HasSubstr("not a std::exception"));
}

TEST(Error, ToErrnoFallsBackToEio) {
  class Category final : public std::error_category {
    const char* name() const noexcept override { return "test"; }
    std::string message(int) const override { return "odd"; }
  };
  static const Category category;
  EXPECT_EQ(Error(std::error_code(7, category)).to_errno(), EIO);
  EXPECT_EQ(Error(std::error_code{}).to_errno(), EIO);
}

TEST(Outcome, HasNames) {
  EXPECT_EQ(to_string(Outcome::failed), "failed");
  EXPECT_EQ(to_string(Outcome::never_submitted), "never submitted");
  EXPECT_EQ(to_string(Outcome::aborted), "aborted");
  EXPECT_EQ(to_string(Outcome::may_have_executed), "may have executed");
  EXPECT_EQ(to_string(static_cast<Outcome>(77)), "unknown");
}

TEST(Result, CarriesAnErrorByValue) {
  const Result<int> good = 3;
  const Result<int> bad = std::unexpected(Error::from_errno(ENOENT));
  EXPECT_EQ(good.value(), 3);
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().to_errno(), ENOENT);
}

}  // namespace
}  // namespace spdkio
