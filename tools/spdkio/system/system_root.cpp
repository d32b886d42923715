
#include "spdkio/system/system_root.hpp"

#include <fmt/format.h>

#include <unistd.h>
#include <algorithm>
#include <charconv>
#include <fstream>
#include <system_error>

namespace spdkio::tool {
namespace {

constexpr std::size_t longest_text = std::size_t{1} << 20;
constexpr std::size_t longest_cpu_list = 65536;
constexpr std::string_view spaces = " \t\r\n\v\f";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool natural_less(const std::string& a, const std::string& b) {
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    if (!is_digit(a[i]) || !is_digit(b[j])) {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i;
      ++j;
      continue;
    }
    const auto run = [](const std::string& text, std::size_t& at) {
      while (at + 1 < text.size() && text[at] == '0' && is_digit(text[at + 1])) ++at;
      const std::size_t start = at;
      while (at < text.size() && is_digit(text[at])) ++at;
      return std::string_view{text}.substr(start, at - start);
    };
    const std::string_view left = run(a, i);
    const std::string_view right = run(b, j);
    if (left.size() != right.size()) return left.size() < right.size();
    if (left != right) return left < right;
  }
  return a.size() - i < b.size() - j;
}

}  // namespace

std::filesystem::path SystemRoot::at(std::string_view path) const {
  return root_ / std::filesystem::path{path}.relative_path();
}

bool SystemRoot::exists(std::string_view path) const {
  std::error_code error;
  return std::filesystem::exists(at(path), error);
}

std::optional<std::string> SystemRoot::text(std::string_view path) const {
  std::error_code error;
  if (std::filesystem::is_directory(at(path), error)) return std::nullopt;
  std::ifstream file{at(path), std::ios::binary};
  if (!file) return std::nullopt;
  std::string content;
  char block[4096];
  while (content.size() < longest_text && (file.read(block, sizeof block) || file.gcount() > 0)) {
    content.append(block, static_cast<std::size_t>(file.gcount()));
  }
  // Some /sys files open and then refuse to be read.
  if (file.bad()) return std::nullopt;
  return content;
}

std::optional<std::string> SystemRoot::line(std::string_view path) const {
  const auto content = text(path);
  if (!content) return std::nullopt;
  return trimmed(std::string_view{*content}.substr(0, content->find('\n')));
}

std::optional<std::uint64_t> SystemRoot::number(std::string_view path) const {
  const auto content = line(path);
  return content ? parse_number(*content) : std::nullopt;
}

std::vector<std::string> SystemRoot::names(std::string_view folder) const {
  std::vector<std::string> found;
  std::error_code error;
  std::filesystem::directory_iterator entry{at(folder), error};
  while (!error && entry != std::filesystem::directory_iterator{}) {
    found.push_back(entry->path().filename().string());
    entry.increment(error);
  }
  std::sort(found.begin(), found.end(), natural_less);
  return found;
}

std::optional<std::string> SystemRoot::link_target(std::string_view path) const {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::read_symlink(at(path), error);
  if (error) return std::nullopt;
  return target.string();
}

std::optional<std::string> SystemRoot::link_name(std::string_view path) const {
  const auto target = link_target(path);
  if (!target) return std::nullopt;
  return std::filesystem::path{*target}.filename().string();
}

bool SystemRoot::accessible(std::string_view path) const { return ::access(at(path).c_str(), R_OK | W_OK) == 0; }

std::optional<std::string> keyed_value(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with(key)) continue;
    const std::string_view rest = line.substr(key.size());
    const std::size_t value = rest.find_first_not_of(" \t:");
    if (!rest.empty() && value == 0) continue;  // the key of this line only starts with `key`
    return trimmed(value == std::string_view::npos ? std::string_view{} : rest.substr(value));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
    base = 16;
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::vector<unsigned> parse_cpu_list(std::string_view list) {
  std::vector<unsigned> cpus;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    const std::string part = trimmed(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    const std::size_t dash = part.find('-');
    const auto first = parse_number(std::string_view{part}.substr(0, dash));
    const auto last = dash == std::string::npos ? first : parse_number(std::string_view{part}.substr(dash + 1));
    if (!first || !last || *first > 1'000'000) continue;
    for (std::uint64_t cpu = *first; cpu <= *last && cpus.size() < longest_cpu_list; ++cpu) {
      cpus.push_back(static_cast<unsigned>(cpu));
    }
  }
  return cpus;
}

std::string format_cpu_list(const std::vector<unsigned>& cpus) {
  std::string text;
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t last = i;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += last == i ? fmt::format("{}", cpus[i]) : fmt::format("{}-{}", cpus[i], cpus[last]);
    i = last + 1;
  }
  return text;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> found;
  while (true) {
    const std::size_t start = text.find_first_not_of(spaces);
    if (start == std::string_view::npos) return found;
    text.remove_prefix(start);
    const std::size_t end = std::min(text.find_first_of(spaces), text.size());
    found.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> found;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    found.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

std::string trimmed(std::string_view text) {
  const std::size_t start = text.find_first_not_of(spaces);
  if (start == std::string_view::npos) return {};
  return std::string{text.substr(start, text.find_last_not_of(spaces) - start + 1)};
}

}  // namespace spdkio::tool
