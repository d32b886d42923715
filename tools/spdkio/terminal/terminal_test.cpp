
#include "spdkio/terminal/terminal.hpp"

#include <gtest/gtest.h>

#include <unistd.h>
#include <map>
#include <sstream>

namespace spdkio::tool {
namespace {

GetEnv environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) -> const char* {
    const auto found = values.find(name);
    return found == values.end() ? nullptr : found->second.c_str();
  };
}

class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe(fds_), 0); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    ::close(fds_[0]);
    ::close(fds_[1]);
  }
  int end() const { return fds_[1]; }

 private:
  int fds_[2] = {-1, -1};
};

TEST(Terminal, APipeHasNoColourUnlessForced) {
  const Pipe pipe;
  EXPECT_FALSE(detect_terminal(pipe.end(), false, environment({{"TERM", "xterm"}})).color);
  EXPECT_FALSE(detect_terminal(pipe.end(), false, environment({{"TERM", "xterm"}})).live);
  EXPECT_TRUE(detect_terminal(pipe.end(), false, environment({{"CLICOLOR_FORCE", "1"}})).color);
  EXPECT_FALSE(detect_terminal(pipe.end(), false, environment({{"CLICOLOR_FORCE", "0"}})).color);
}

TEST(Terminal, NoColorWinsOverForce) {
  const Pipe pipe;
  EXPECT_FALSE(detect_terminal(pipe.end(), false, environment({{"CLICOLOR_FORCE", "1"}, {"NO_COLOR", "1"}})).color);
  EXPECT_FALSE(detect_terminal(pipe.end(), true, environment({{"CLICOLOR_FORCE", "1"}})).color);
  EXPECT_TRUE(detect_terminal(pipe.end(), false, environment({{"CLICOLOR_FORCE", "1"}, {"NO_COLOR", ""}})).color)
      << "an empty NO_COLOR counts as not set";
}

TEST(Terminal, UnicodeFollowsTheFirstLocaleVariableThatIsSet) {
  const Pipe pipe;
  EXPECT_TRUE(detect_terminal(pipe.end(), false, environment({{"LANG", "en_GB.UTF-8"}})).unicode);
  EXPECT_TRUE(detect_terminal(pipe.end(), false, environment({{"LC_ALL", ""}, {"LANG", "C.utf8"}})).unicode);
  EXPECT_FALSE(detect_terminal(pipe.end(), false, environment({{"LC_ALL", "C"}, {"LANG", "C.UTF-8"}})).unicode);
  EXPECT_FALSE(detect_terminal(pipe.end(), false, environment({})).unicode);
}

TEST(Terminal, PaintAddsNothingWithoutColour) {
  std::ostringstream out;
  EXPECT_EQ(Terminal(out, {}).paint(Tone::bad, "x"), "x");
  EXPECT_EQ(Terminal(out, {.color = true}).paint(Tone::bad, "x"), "\x1b[31mx\x1b[0m");
  EXPECT_EQ(Terminal(out, {.color = true}).paint(Tone::plain, "x"), "x");
}

TEST(Terminal, DisplayWidthCountsCharactersAndSkipsColour) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("\u2588\u2588"), 2U);
  EXPECT_EQ(display_width("\x1b[31mabc\x1b[0m"), 3U);
  EXPECT_EQ(display_width("\x1b[31"), 0U) << "a sequence that never ends";
}

TEST(Terminal, PrintableTakesEscapesOutOfForeignText) {
  EXPECT_EQ(printable("disk\x1b[2J\n"), "disk?[2J?");
  EXPECT_EQ(printable("caf\u00e9"), "caf\u00e9");
}

TEST(Terminal, WrapBreaksAtSpaces) {
  EXPECT_EQ(wrap("one two three", 7), (std::vector<std::string>{"one two", "three"}));
  EXPECT_EQ(wrap("incomprehensible a", 4), (std::vector<std::string>{"incomprehensible", "a"}));
  EXPECT_EQ(wrap("", 4), std::vector<std::string>{""});
}

}  // namespace
}  // namespace spdkio::tool
