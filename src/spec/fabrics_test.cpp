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
