
#include "spdkio/nvme/passthru.hpp"

#include "spdkio/cli/failure.hpp"
#include "spdkio/system/fake_root.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace spdkio::tool {
namespace {

std::string refusal(const PassthruOptions& options) {
  try {
    passthru_from(options);
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code(), ExitCode::usage);
    return failure.what();
  }
  return "no failure";
}

TEST(Passthru, NumbersGoWhereTheyBelong) {
  PassthruOptions options;
  options.opcode = "0x0A";
  options.nsid = "0xffffffff";
  options.cdw2 = "2";
  options.cdw10 = "0x1234ABCD";
  options.cdw15 = "15";
  const Passthru passthru = passthru_from(options);
  EXPECT_EQ(passthru.command.opcode, 0x0A);
  EXPECT_EQ(passthru.command.nsid, 0xFFFFFFFFu);
  EXPECT_EQ(passthru.command.cdw2, 2u);
  EXPECT_EQ(passthru.command.cdw10, 0x1234ABCDu);
  EXPECT_EQ(passthru.command.cdw15, 15u);
  EXPECT_EQ(passthru.name, "Get Features");
  EXPECT_EQ(passthru.data_bytes, 0u);
  options.io = true;
  options.opcode = "2";
  EXPECT_EQ(passthru_from(options).name, "Read");
}

TEST(Passthru, TheOpcodeSaysWhichWayDataGoes) {
  PassthruOptions options;
  options.opcode = "0x06";
  options.data_len = "4KiB";
  EXPECT_EQ(passthru_from(options).data_bytes, 4096u);
  options.data_len = "0x200";
  options.read = true;
  EXPECT_EQ(passthru_from(options).data_bytes, 512u);
  EXPECT_EQ(passthru_from(options).direction, spec::DataTransfer::controller_to_host);

  // Fabrics commands have the way in their type, which stands where others have the namespace.
  PassthruOptions property;
  property.opcode = "0x7f";
  property.nsid = "4";
  property.cdw11 = "8";
  EXPECT_EQ(passthru_from(property).direction, spec::DataTransfer::none);
}

TEST(Passthru, InputIsPaddedToTheLength) {
  FakeRoot folder;
  folder.file("/data", "abc");
  PassthruOptions options;
  options.opcode = "0x09";
  options.write = true;
  options.input_file = (folder.path() / "data").string();
  EXPECT_EQ(passthru_from(options).data_bytes, 3u);
  options.data_len = "8";
  const Passthru padded = passthru_from(options);
  ASSERT_EQ(padded.data.size(), 8u);
  EXPECT_EQ(padded.data[2], std::byte{'c'});
  EXPECT_EQ(padded.data[7], std::byte{0});
  options.data_len = "2";
  EXPECT_NE(refusal(options).find("more than 2 bytes"), std::string::npos);
}

TEST(Passthru, MistakesAreNamed) {
  PassthruOptions options;
  for (const char* bad : {"", "x", "0x", "256", "-1", "6 ", "0x100"}) {
    options.opcode = bad;
    EXPECT_NE(refusal(options).find("--opcode"), std::string::npos) << bad;
  }
  options.opcode = "6";
  options.cdw10 = "0x100000000";
  EXPECT_NE(refusal(options).find("--cdw10"), std::string::npos);
  options.cdw10 = "1";
  options.flags = "1";
  EXPECT_NE(refusal(options).find("--flags"), std::string::npos) << "half of a fused command";
  options.flags = "0";
  options.write = true;
  EXPECT_NE(refusal(options).find("--read"), std::string::npos);
  options.read = true;
  EXPECT_NE(refusal(options).find("exclude each other"), std::string::npos);
  options.write = false;
  options.data_len = "1GB";
  EXPECT_NE(refusal(options).find("--data-len"), std::string::npos);
  options.data_len = "1GiB";
  EXPECT_NE(refusal(options).find("64 MiB"), std::string::npos);
  options.data_len = "512";
  options.input_file = "/dev/null";
  EXPECT_NE(refusal(options).find("sends no data"), std::string::npos);

  PassthruOptions none;
  none.opcode = "0x18";
  none.data_len = "512";
  EXPECT_NE(refusal(none).find("has no data"), std::string::npos);
  PassthruOptions silent;
  silent.opcode = "0x0d";
  silent.data_len = "4096";
  EXPECT_NE(refusal(silent).find("no data to send"), std::string::npos);
  PassthruOptions both;
  both.opcode = "0x83";
  both.data_len = "4096";
  EXPECT_NE(refusal(both).find("either way"), std::string::npos);
}

TEST(Passthru, WhatTheLibraryNeedsItselfIsRefused) {
  for (const char* opcode : {"0x00", "0x01", "0x04", "0x05", "0x0c", "0x7c"}) {
    PassthruOptions options;
    options.opcode = opcode;
    EXPECT_NE(refusal(options).find("the library's own"), std::string::npos) << opcode;
    options.io = true;
    EXPECT_EQ(refusal(options), "no failure") << "on an I/O queue these are other commands";
  }
}

TEST(Passthru, AnswersAreShownWhole) {
  PassthruOptions options;
  options.opcode = "6";
  options.data_len = "18";
  const Passthru passthru = passthru_from(options);
  spec::Completion completion;
  completion.dw0 = 0x12u;
  std::vector<std::byte> data(18, std::byte{'A'});
  data[17] = std::byte{0x1B};
  std::ostringstream out;
  print_answer(Terminal{out, {}}, passthru, completion, data);
  EXPECT_EQ(out.str(),
            "Identify: success, result 0x00000012\n"
            "0000: 41 41 41 41 41 41 41 41 41 41 41 41 41 41 41 41 \"AAAAAAAAAAAAAAAA\"\n"
            "0010: 41 1b                                           \"A.\"\n");
  const Json json = answer_json(passthru, completion, data);
  EXPECT_EQ(json["result"], 0x12);
  std::string expected;
  for (int i = 0; i < 17; ++i) expected += "41";
  EXPECT_EQ(json["data"], expected + "1b");
}

}  // namespace
}  // namespace spdkio::tool
