// /proc and /sys as a tree of small text files under a root that tests can set.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::tool {

/// Reads files by their absolute path below a root. Nothing here throws or fails: what cannot be read is absent.
class SystemRoot {
 public:
  explicit SystemRoot(std::filesystem::path root = "/") : root_(std::move(root)) {}

  /// True for the machine itself, false for a tree made by a test.
  bool is_live() const { return root_ == "/"; }
  bool exists(std::string_view path) const;
  /// The first MiB of a file.
  std::optional<std::string> text(std::string_view path) const;
  /// The first line without spaces at its ends.
  std::optional<std::string> line(std::string_view path) const;
  /// A number, decimal or with 0x.
  std::optional<std::uint64_t> number(std::string_view path) const;
  /// Names in a folder, sorted so that numbers inside names count as numbers; empty when there is no folder.
  std::vector<std::string> names(std::string_view folder) const;
  /// Last part of a symbolic link's target: the driver of a device, for example.
  std::optional<std::string> link_name(std::string_view path) const;
  /// The target of a symbolic link as written.
  std::optional<std::string> link_target(std::string_view path) const;
  /// Whether this process may open the file for reading and writing; false for a tree made by a test when the file
  /// lacks the permission bits.
  bool accessible(std::string_view path) const;

 private:
  std::filesystem::path at(std::string_view path) const;

  std::filesystem::path root_;
};

/// `key: value` or `key<spaces>value` lines: the value of the first line whose key matches.
std::optional<std::string> keyed_value(std::string_view text, std::string_view key);
/// A whole decimal or 0x number, nothing else around it.
std::optional<std::uint64_t> parse_number(std::string_view text);
/// A kernel list such as `0-3,8`; entries that are not numbers are skipped, and at most 65536 are returned.
std::vector<unsigned> parse_cpu_list(std::string_view list);
/// The reverse: `0-3,8`.
std::string format_cpu_list(const std::vector<unsigned>& cpus);
/// Words between spaces, tabs and line ends.
std::vector<std::string> words(std::string_view text);
std::vector<std::string> lines(std::string_view text);
std::string trimmed(std::string_view text);

}  // namespace spdkio::tool
