#include <spdkio/base/nvme_status.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

namespace spdkio {
namespace {

NvmeStatus of(NvmeSct sct, unsigned sc) {
  return {.sct = static_cast<std::uint8_t>(sct), .sc = static_cast<std::uint8_t>(sc)};
}

TEST(NvmeStatus, OkIsSctAndScZero) {
  EXPECT_TRUE(NvmeStatus{}.ok());
  EXPECT_TRUE((NvmeStatus{.dnr = true}.ok()));
  EXPECT_FALSE(nvme_sc::invalid_field.ok());
  EXPECT_FALSE(of(NvmeSct::path, 0).ok());
  EXPECT_EQ(NvmeStatus{}.to_errno(), 0);
  EXPECT_EQ(NvmeStatus{}.text(), "Successful Completion");
}

TEST(NvmeStatus, NamesOfTheSpecification) {
  EXPECT_EQ(nvme_sc::invalid_opcode.text(), "Invalid Command Opcode");
  EXPECT_EQ(nvme_sc::lba_out_of_range.text(), "LBA Out of Range");
  EXPECT_EQ(nvme_sc::compare_failure.text(), "Compare Failure");
  EXPECT_EQ(nvme_sc::guard_check_error.text(), "End-to-end Guard Check Error");
  EXPECT_EQ(of(NvmeSct::command_specific, 0x0C).text(), "Invalid Queue Deletion");
  EXPECT_EQ(of(NvmeSct::command_specific, 0xB8).text(), "Zoned Boundary Error");
  EXPECT_EQ(of(NvmeSct::path, 0x02).text(), "Asymmetric Access Inaccessible");
  EXPECT_EQ(of(NvmeSct::path, 0x71).text(), "Command Aborted By Host");
}

TEST(NvmeStatus, ReservedAndVendorCodes) {
  EXPECT_EQ(of(NvmeSct::generic, 0x17).text(), "unknown status");
  EXPECT_EQ(of(NvmeSct::command_specific, 0x04).text(), "unknown status");
  EXPECT_EQ((NvmeStatus{.sct = 5, .sc = 0xC0}.text()), "unknown status");
  EXPECT_EQ(of(NvmeSct::generic, 0xC0).text(), "Vendor Specific");
  EXPECT_EQ(of(NvmeSct::media, 0xFF).text(), "Vendor Specific");
  EXPECT_EQ(of(NvmeSct::vendor, 0x00).text(), "Vendor Specific");
  EXPECT_EQ(of(NvmeSct::vendor, 0x00).to_errno(), EIO);
}

TEST(NvmeStatus, AllCodesAreKnownOnce) {
  std::set<std::string_view> names;
  unsigned known = 0;
  for (unsigned sct = 0; sct < 8; ++sct) {
    for (unsigned sc = 0; sc < 256; ++sc) {
      const NvmeStatus status{.sct = static_cast<std::uint8_t>(sct), .sc = static_cast<std::uint8_t>(sc)};
      const std::string_view text = status.text();
      EXPECT_GE(status.to_errno(), status.ok() ? 0 : 1) << text;
      if (text == "unknown status" || text == "Vendor Specific") {
        EXPECT_EQ(status.to_errno(), EIO);
        continue;
      }
      ++known;
      EXPECT_TRUE(names.insert(text).second) << text;
    }
  }
  // Figures 102 to 104, 106 and 107 of revision 2.2, and eight codes of revision 2.3.
  EXPECT_EQ(known, 42u + 10u + 58u + 37u + 9u + 7u + 8u);
}

TEST(NvmeStatus, DescribeShowsWhatTheDeviceSaid) {
  EXPECT_EQ(nvme_sc::lba_out_of_range.describe(), "LBA Out of Range (SCT 0x0, SC 0x80)");
  EXPECT_EQ((NvmeStatus{.sc = 0x80, .dnr = true}.describe()), "LBA Out of Range (SCT 0x0, SC 0x80, DNR)");
  EXPECT_EQ((NvmeStatus{.sc = 0x02, .more = true, .crd = 1}.describe()),
            "Invalid Field in Command (SCT 0x0, SC 0x02, More, CRD 1)");
  EXPECT_EQ((NvmeStatus{.sct = 6, .sc = 0xAB}.describe()), "unknown status (SCT 0x6, SC 0xab)");
}

TEST(NvmeStatus, Errnos) {
  EXPECT_EQ(nvme_sc::invalid_opcode.to_errno(), EOPNOTSUPP);
  EXPECT_EQ(nvme_sc::invalid_field.to_errno(), EINVAL);
  EXPECT_EQ(nvme_sc::abort_requested.to_errno(), ECANCELED);
  EXPECT_EQ(nvme_sc::capacity_exceeded.to_errno(), ENOSPC);
  EXPECT_EQ(nvme_sc::unrecovered_read_error.to_errno(), EIO);
  EXPECT_EQ(nvme_sc::compare_failure.to_errno(), EILSEQ);
  EXPECT_EQ(of(NvmeSct::generic, 0x20).to_errno(), EROFS);
  EXPECT_EQ(of(NvmeSct::path, 0x03).to_errno(), EAGAIN);
}

}  // namespace
}  // namespace spdkio
