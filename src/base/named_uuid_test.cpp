#include "base/named_uuid.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace spdkio {
namespace {

Uuid named(std::string_view space, std::string_view name) {
  const std::vector<std::uint8_t> bytes(name.begin(), name.end());
  return named_uuid(Uuid::parse(space), bytes);
}

constexpr std::string_view dns = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

TEST(NamedUuid, TheExampleOfTheRfc) {
  EXPECT_EQ(named(dns, "www.example.com").to_string(), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

/// Against another implementation, around the lengths where SHA-1 needs another block.
TEST(NamedUuid, NamesOfManyLengths) {
  EXPECT_EQ(named(dns, "").to_string(), "4ebd0208-8328-5d69-8c44-ec50939c0967");
  EXPECT_EQ(named(dns, std::string(39, 'a')).to_string(), "5824f981-4282-59d4-9716-acb6d741350e");
  EXPECT_EQ(named(dns, std::string(40, 'a')).to_string(), "39f39c20-db47-5131-8879-62f8f67f9014");
  EXPECT_EQ(named(dns, std::string(47, 'a')).to_string(), "660c273c-8a00-5941-b6f4-8d0afed88966");
  EXPECT_EQ(named(dns, std::string(48, 'a')).to_string(), "7280cc42-274a-5c4a-91fc-ae23f853eeb7");
  EXPECT_EQ(named(dns, std::string(1000, 'a')).to_string(), "062a6b1a-ddc3-5fcc-b238-790846e533d6");
}

}  // namespace
}  // namespace spdkio
