// Where text goes, and what that place can show: colour, a live line, block characters.
#pragma once

#include <cstddef>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::tool {

enum class Tone { plain, strong, dim, ok, warn, bad, accent };

/// What an output stream can show.
struct TerminalTraits {
  bool live = false;     ///< a terminal: the cursor can go back to the start of the line
  bool color = false;    ///< ANSI colours
  bool unicode = false;  ///< block characters; ASCII stands in otherwise
  std::size_t width = 80;
};

/// Looks up an environment variable; null when it is not set.
using GetEnv = std::function<const char*(const char*)>;

/// What the terminal behind a file descriptor can show. Colour needs a terminal, no `NO_COLOR` (https://no-color.org),
/// and a `TERM` other than `dumb`; `CLICOLOR_FORCE` gives colour to a pipe. `unicode` follows LC_ALL, LC_CTYPE, LANG.
/// What is no terminal counts as 100 columns wide.
TerminalTraits detect_terminal(int fd, bool no_color_option, const GetEnv& get_env);

/// An output stream with its traits. The stream must outlive it.
class Terminal {
 public:
  Terminal(std::ostream& stream, TerminalTraits traits) : stream_(&stream), traits_(traits) {}

  std::ostream& stream() const { return *stream_; }
  const TerminalTraits& traits() const { return traits_; }
  /// The text in the colours of the tone, or as it is when this terminal has none.
  std::string paint(Tone tone, std::string_view text) const;
  /// `symbol` where the terminal shows Unicode, `ascii` elsewhere.
  std::string_view pick(std::string_view symbol, std::string_view ascii) const {
    return traits_.unicode ? symbol : ascii;
  }
  void write(std::string_view text) const { stream_->write(text.data(), static_cast<std::streamsize>(text.size())); }
  void line(std::string_view text) const {
    write(text);
    stream_->put('\n');
  }

 private:
  std::ostream* stream_;
  TerminalTraits traits_;
};

/// Columns that UTF-8 text takes: its code points, without ANSI colour sequences. Nothing here is double-width.
std::size_t display_width(std::string_view text);

/// Text made harmless for a terminal: control characters (from a device's model string, say) become `?`.
std::string printable(std::string_view text);

/// Breaks text at spaces into lines of at most `width` columns; a longer word stays whole. An empty text is one line.
std::vector<std::string> wrap(std::string_view text, std::size_t width);

}  // namespace spdkio::tool
