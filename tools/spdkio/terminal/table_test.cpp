
#include "spdkio/terminal/table.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace spdkio::tool {
namespace {

TEST(Table, AlignsColumnsAndEndsNoLineInSpaces) {
  std::ostringstream out;
  Table table{{{"name"}, {"size", Align::right}, {"note"}}, "  "};
  table.add_row({"Malloc0", "64 MiB", "x"});
  table.add_row({"N", "1 GiB"});
  table.print(Terminal{out, {}});
  EXPECT_EQ(out.str(),
            "  name       size  note\n"
            "  Malloc0  64 MiB  x\n"
            "  N         1 GiB\n");
}

TEST(Table, ColourDoesNotDisturbTheColumns) {
  std::ostringstream out;
  Table table{{{""}, {""}}};
  table.add_row({{"ok", Tone::ok}, "a"});
  table.add_row({{"missing", Tone::bad}, "b"});
  table.print(Terminal{out, {.color = true}});
  EXPECT_EQ(out.str(), "\x1b[32mok\x1b[0m       a\n\x1b[31mmissing\x1b[0m  b\n");
}

TEST(Table, BlockCharactersCountAsOneColumn) {
  std::ostringstream out;
  Table table{{{""}, {""}}};
  table.add_row({"\u2588\u2588", "a"});
  table.add_row({"###", "b"});
  table.print(Terminal{out, {}});
  EXPECT_EQ(out.str(), "\u2588\u2588   a\n###  b\n");
}

TEST(Table, EmptyRowIsAnEmptyLine) {
  std::ostringstream out;
  Table table{{{""}}, "    "};
  table.add_row({});
  table.print(Terminal{out, {}});
  EXPECT_EQ(out.str(), "\n");
}

}  // namespace
}  // namespace spdkio::tool
