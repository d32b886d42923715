#include <spdkio/spec/fabrics.hpp>

#include <gtest/gtest.h>

#include <string>

namespace spdkio::spec::fabrics {
namespace {

TEST(Nqn, RightOnes) {
  for (const char* nqn :
       {"nqn.2014-08.org.nvmexpress.discovery", "nqn.2016-06.io.spdk:cnode1", "nqn.2026-11.io.spdkio:a b",
        "nqn.2014-08.org.nvmexpress:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "nqn.2014-08.com.example:\xC3\xA4"}) {
    EXPECT_EQ(nqn_problem(nqn), "") << nqn;
  }
}

TEST(Nqn, WrongOnes) {
  for (const char* nqn : {"", "disk0", "nqn.2014-08", "nqn.201408.org:x", "nqn.2014-08.org",
                          "nqn.2014-08.org:", "nqn.2014-08.-org:x", "nqn.2014-08.org..x:y", "nqn.2014-08.org:\x01",
                          "nqn.2014-08.org:\xFF", "nqn.2014-08.org:\xC0\x80", "nqn.2014-08.org.nvmexpress:uuid:1234"}) {
    EXPECT_NE(nqn_problem(nqn), "") << nqn;
  }
  EXPECT_NE(nqn_problem("nqn.2014-08.org:" + std::string(220, 'x')), "");
}

TEST(StatusText, FabricsCommandsHaveMeaningsOfTheirOwn) {
  EXPECT_EQ(status_text(sc::invalid_parameters), "Connect Invalid Parameters");
  EXPECT_EQ(sc::invalid_parameters.text(), "Attempted Write to Read Only Range") << "of a write";
  EXPECT_EQ(status_text(sc::authentication_required), "Authentication Required");
  EXPECT_EQ(status_text(nvme_sc::invalid_field), nvme_sc::invalid_field.text());
  EXPECT_EQ(status_text({.sct = 1, .sc = 0x01}), "Invalid Queue Identifier");
  EXPECT_EQ(status_text({.sct = 1, .sc = 0xB9}), "unknown status") << "a zone's, elsewhere";
}

TEST(DataTransfer, FabricsCommandsSayItInTheirType) {
  Command command;
  command.opcode = opcode;
  command.nsid = static_cast<std::uint32_t>(CommandType::property_get);
  EXPECT_EQ(data_transfer_of(command), DataTransfer::none);
  command.nsid = static_cast<std::uint32_t>(CommandType::authentication_receive);
  EXPECT_EQ(data_transfer_of(command), DataTransfer::controller_to_host);
  command.opcode = 0x06;
  EXPECT_EQ(data_transfer_of(command), DataTransfer::controller_to_host);
}

TEST(FieldText, EndsAtTheFirstNulOrTheEnd) {
  std::array<char, 8> field{};
  set_field_text(field, "abc");
  EXPECT_EQ(field_text(field), "abc");
  set_field_text(field, "0123456789");
  EXPECT_EQ(field_text(field), "01234567");
  set_field_text(field, "x", ' ');
  EXPECT_EQ(field_text(field), "x       ");
}

}  // namespace
}  // namespace spdkio::spec::fabrics
