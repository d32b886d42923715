
#include "spdkio/list/list_command.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace spdkio::tool {
namespace {

std::string table_of(const char* json) {
  std::ostringstream out;
  print_bdev_table(Terminal{out, {}}, Json::parse(json));
  return out.str();
}

TEST(ListTable, ShowsWhatServersAnswer) {
  EXPECT_EQ(table_of(R"([
      {"name": "Malloc0", "product_name": "Malloc disk", "block_size": 512, "num_blocks": 131072, "uuid": "u-1",
       "aliases": ["u-1", "fast"], "claimed": false},
      {"name": "N", "product_name": "Null disk", "block_size": 4096, "num_blocks": 1, "uuid": "u-2", "aliases": ["u-2"],
       "claimed": true, "claim_type": "exclusive_write"}])"),
            "NAME       SIZE  BLOCK  KIND         CLAIMED          UUID  ALIASES\n"
            "Malloc0  64 MiB    512  Malloc disk                   u-1   fast\n"
            "N         4 KiB   4096  Null disk    exclusive_write  u-2\n");
}

TEST(ListTable, ShowsZones) {
  EXPECT_EQ(table_of(R"([{"name": "Z", "product_name": "zone_block", "block_size": 4096, "num_blocks": 131072,
                          "uuid": "u-1", "zoned": true, "zone_size": 16384}])"),
            "NAME     SIZE  BLOCK  KIND                           CLAIMED  UUID  ALIASES\n"
            "Z     512 MiB   4096  zone_block, 8 zones of 64 MiB           u-1\n");
}

TEST(ListTable, OddAnswersDoNotBreakIt) {
  EXPECT_EQ(table_of("[]"), "no block devices\n");
  EXPECT_EQ(table_of("{}"), "no block devices\n");
  EXPECT_EQ(table_of("null"), "no block devices\n");
  EXPECT_NE(table_of(R"([3, {"name": 7}, {"name": "a\u001b[2J", "aliases": [1], "claimed": "x"}])").find("a?[2J"),
            std::string::npos);
}

}  // namespace
}  // namespace spdkio::tool
