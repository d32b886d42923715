
#include "spdkio/terminal/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>
#include <algorithm>
#include <cctype>

namespace spdkio::tool {
namespace {

std::string_view value_of(const GetEnv& get_env, const char* name) {
  const char* value = get_env(name);
  return value == nullptr ? std::string_view{} : std::string_view{value};
}

bool is_utf8_locale(const GetEnv& get_env) {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::string value{value_of(get_env, name)};
    if (value.empty()) continue;
    std::transform(value.begin(), value.end(), value.begin(), [](unsigned char c) { return std::tolower(c); });
    return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

std::string_view ansi(Tone tone) {
  switch (tone) {
    case Tone::plain: return "";
    case Tone::strong: return "\x1b[1m";
    case Tone::dim: return "\x1b[2m";
    case Tone::ok: return "\x1b[32m";
    case Tone::warn: return "\x1b[33m";
    case Tone::bad: return "\x1b[31m";
    case Tone::accent: return "\x1b[36m";
  }
  return "";
}

}  // namespace

TerminalTraits detect_terminal(int fd, bool no_color_option, const GetEnv& get_env) {
  TerminalTraits traits;
  const std::string_view term = value_of(get_env, "TERM");
  traits.live = ::isatty(fd) == 1 && term != "dumb";
  traits.unicode = is_utf8_locale(get_env);
  const std::string_view forced = value_of(get_env, "CLICOLOR_FORCE");
  const bool wanted = traits.live || (!forced.empty() && forced != "0");
  traits.color = wanted && !no_color_option && value_of(get_env, "NO_COLOR").empty();
  if (!traits.live) traits.width = 100;
  winsize size{};
  if (traits.live && ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) traits.width = size.ws_col;
  return traits;
}

std::string Terminal::paint(Tone tone, std::string_view text) const {
  const std::string_view start = ansi(tone);
  if (!traits_.color || start.empty() || text.empty()) return std::string{text};
  std::string painted{start};
  painted += text;
  painted += "\x1b[0m";
  return painted;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b' && i + 1 < text.size() && text[i + 1] == '[') {
      i = text.find('m', i);
      if (i == std::string_view::npos) break;
      continue;
    }
    const bool continuation = (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
    if (!continuation) ++width;
  }
  return width;
}

std::string printable(std::string_view text) {
  std::string clean{text};
  for (char& c : clean) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) c = '?';
  }
  return clean;
}

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines(1);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    if (!word.empty()) {
      if (!lines.back().empty() && display_width(lines.back()) + 1 + display_width(word) > width) lines.emplace_back();
      if (!lines.back().empty()) lines.back() += ' ';
      lines.back() += word;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace spdkio::tool
