
#include "spdkio/cli/option_info.hpp"
#include "spdkio/completion/completion_script.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace spdkio::tool {
namespace {

// Inside single quotes and inside an _arguments specification.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
      continue;
    }
    if (c == '[' || c == ']' || c == ':' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

std::string action_of(const OptionInfo& info) {
  switch (info.value) {
    case ValueKind::choice: return fmt::format("({})", fmt::join(info.choices, " "));
    case ValueKind::file: return "_files";
    case ValueKind::directory: return "_files -/";
    case ValueKind::none:
    case ValueKind::text: return "";
  }
  return "";
}

void add_arguments(std::string& text, const CLI::App& app, const std::string& indent) {
  int position = 0;
  for (const OptionInfo& info : describe_options(app)) {
    const std::string value =
        info.value == ValueKind::none ? "" : fmt::format(":{}:{}", escaped(info.metavar), action_of(info));
    if (!info.positional.empty()) {
      const std::string place = info.repeats ? "*" : std::to_string(++position);
      text += fmt::format("{}'{}:{}:{}' \\\n", indent, place, escaped(info.description), action_of(info));
      continue;
    }
    const std::string others = info.names.size() > 1 ? fmt::format("({})", fmt::join(info.names, " ")) : "";
    for (const std::string& name : info.names) {
      const std::string equals = info.value != ValueKind::none && name.starts_with("--") ? "=" : "";
      text += fmt::format("{}'{}{}{}[{}]{}' \\\n", indent, info.repeats ? "*" : others, name, equals,
                          escaped(info.description), value);
    }
  }
}

}  // namespace

std::string zsh_completion(const CLI::App& root) {
  std::string text = "#compdef spdkio\n# zsh completion of spdkio, written by 'spdkio completion zsh'\n";
  text += "_spdkio() {\n  local curcontext=\"$curcontext\" state line\n  typeset -A opt_args\n  _arguments -C \\\n";
  add_arguments(text, root, "    ");
  text += "    '1:command:->command' \\\n    '*::argument:->argument'\n";
  text += "  case $state in\n    command)\n      local -a commands\n      commands=(\n";
  for (const CLI::App* command : visible_commands(root)) {
    text += fmt::format("        '{}:{}'\n", command->get_name(), escaped(command->get_description()));
  }
  text += "      )\n      _describe -t commands command commands ;;\n    argument)\n      case $line[1] in\n";
  for (const CLI::App* command : visible_commands(root)) {
    text += fmt::format("        {})\n          _arguments \\\n", command->get_name());
    add_arguments(text, *command, "            ");
    add_arguments(text, root, "            ");
    text += "            && return ;;\n";
  }
  text += R"(      esac ;;
  esac
}
if [[ $funcstack[1] == _spdkio ]]; then
  _spdkio "$@"
else
  compdef _spdkio spdkio
fi
)";
  return text;
}

}  // namespace spdkio::tool
