#include <spdkio/base/error_context.hpp>

#include <spdkio/base/error.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <thread>

namespace spdkio {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

[[noreturn]] void fail_below(const std::string& device) {
  const ErrorContext doing("reading the label of {}", device);
  throw Error::from_errno(EIO, "lost");
}

TEST(ErrorContext, ChainIsInnermostFirst) {
  const std::string from = "disk0";
  const ErrorContext outer("copying {} to {}", from, "disk1");
  try {
    fail_below(from);
  } catch (const Error& error) {
    EXPECT_THAT(error.context(), ElementsAre("reading the label of disk0", "copying disk0 to disk1"));
    EXPECT_STREQ(error.what(), "lost (Input/output error); reading the label of disk0; copying disk0 to disk1");
    EXPECT_EQ(error.brief(), "lost (Input/output error)");
  }
  EXPECT_THAT(Error::from_errno(EIO).context(), ElementsAre("copying disk0 to disk1")) << "the inner one has ended";
}

TEST(ErrorContext, NothingWithoutOne) {
  const Error error = Error::from_errno(EIO);
  EXPECT_THAT(error.context(), IsEmpty());
  EXPECT_THAT(error.tasks(), IsEmpty());
}

TEST(ErrorContext, ACaughtErrorLeavesNothingBehind) {
  for (int i = 0; i < 3; ++i) {
    try {
      const ErrorContext doing("attempt {}", i);
      throw Error(Misuse::invalid_argument);
    } catch (const Error& error) {
      EXPECT_THAT(error.context(), ElementsAre("attempt " + std::to_string(i)));
    }
  }
  EXPECT_THAT(Error(Misuse::invalid_argument).context(), IsEmpty());
}

TEST(ErrorContext, LvaluesAreReadWhenTheErrorIsMade) {
  int block = 0;
  const ErrorContext doing("at block {} of {}", block, std::string("a disk whose name is a temporary"));
  block = 7;
  EXPECT_THAT(Error::from_errno(EIO).context(), ElementsAre("at block 7 of a disk whose name is a temporary"));
}

TEST(ErrorContext, BelongsToItsOsThread) {
  const ErrorContext doing("here");
  std::thread([] { EXPECT_THAT(Error::from_errno(EIO).context(), IsEmpty()); }).join();
}

TEST(ErrorContext, EndInAnyOrder) {
  std::unique_ptr<ErrorContext<>> first(new ErrorContext<>("first"));
  std::unique_ptr<ErrorContext<>> second(new ErrorContext<>("second"));
  std::unique_ptr<ErrorContext<>> third(new ErrorContext<>("third"));
  second.reset();
  EXPECT_THAT(Error::from_errno(EIO).context(), ElementsAre("third", "first"));
  first.reset();
  EXPECT_THAT(Error::from_errno(EIO).context(), ElementsAre("third"));
  third.reset();
  EXPECT_THAT(Error::from_errno(EIO).context(), IsEmpty());
}

TEST(ErrorContext, WithContextStandsInsideWhatStillGoesOn) {
  const ErrorContext outer("outer");
  try {
    const ErrorContext inner("inner");
    throw Error::from_errno(EIO);
  } catch (const Error& error) {
    EXPECT_THAT(error.with_context("between").context(), ElementsAre("inner", "between", "outer"));
  }
}

TEST(ErrorContext, AddedWhereAnErrorIsHandedOn) {
  const Error made_elsewhere = Error::from_errno(EIO);
  const ErrorContext doing("joining");
  EXPECT_THAT(made_elsewhere.with_current_context().context(), ElementsAre("joining"));
}

TEST(ErrorReport, TellsAllInLines) {
  const ErrorContext doing("verifying");
  const Error error = Error(NvmeStatus{.sct = 2, .sc = 0x81, .dnr = true})
                          .with_operation("read")
                          .with_device("Nvme0n1")
                          .with_range({Lba{8}, BlockCount{2}})
                          .with_outcome(Outcome::may_have_executed)
                          .with_hint("the medium is bad");
  const std::string report = error.report();
  EXPECT_TRUE(report.starts_with("read on Nvme0n1, blocks 8+2: Unrecovered Read Error")) << report;
  EXPECT_THAT(report, HasSubstr("\n  while: verifying"));
  EXPECT_THAT(report, HasSubstr("\n  hint: the medium is bad"));
  EXPECT_THAT(report, HasSubstr("\n  status: Unrecovered Read Error (SCT 0x2, SC 0x81, DNR), do not retry"));
  EXPECT_THAT(report, HasSubstr("\n  outcome: may have executed"));
  EXPECT_FALSE(report.ends_with('\n'));
  EXPECT_THAT(Error::from_errno(ENOENT).report(), HasSubstr("\n  status: No such file or directory (generic 2)"));
}

}  // namespace
}  // namespace spdkio
