
#include "spdkio/cli/option_info.hpp"
#include "spdkio/completion/completion_script.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace spdkio::tool {
namespace {

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result + "'";
}

std::string value_of(const OptionInfo& info) {
  switch (info.value) {
    case ValueKind::choice: return fmt::format(" -x -a {}", quoted(fmt::format("{}", fmt::join(info.choices, " "))));
    case ValueKind::file: return " -r -F";
    case ValueKind::directory: return " -x -a '(__fish_complete_directories)'";
    case ValueKind::text: return " -x";
    case ValueKind::none: return "";
  }
  return "";
}

void add_options(std::string& text, const CLI::App& app, const std::string& condition) {
  for (const OptionInfo& info : describe_options(app)) {
    if (!info.positional.empty()) {
      if (info.value == ValueKind::text) continue;
      const std::string value = info.value == ValueKind::file ? " -F" : value_of(info);
      text += fmt::format("complete -c spdkio{}{} -d {}\n", condition, value, quoted(info.description));
      continue;
    }
    std::string names;
    for (const std::string& name : info.names) {
      names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    }
    text += fmt::format("complete -c spdkio{}{}{} -d {}\n", condition, names, value_of(info), quoted(info.description));
  }
}

}  // namespace

std::string fish_completion(const CLI::App& root) {
  std::string text = "# fish completion of spdkio, written by 'spdkio completion fish'\ncomplete -c spdkio -f\n";
  for (const CLI::App* command : visible_commands(root)) {
    text += fmt::format("complete -c spdkio -n __fish_use_subcommand -a {} -d {}\n", command->get_name(),
                        quoted(command->get_description()));
  }
  add_options(text, root, "");
  for (const CLI::App* command : visible_commands(root)) {
    add_options(text, *command, fmt::format(" -n '__fish_seen_subcommand_from {}'", command->get_name()));
  }
  return text;
}

}  // namespace spdkio::tool
