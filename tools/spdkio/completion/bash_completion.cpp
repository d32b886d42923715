
#include "spdkio/cli/option_info.hpp"
#include "spdkio/completion/completion_script.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace spdkio::tool {
namespace {

std::string reply_for(const OptionInfo& info) {
  switch (info.value) {
    case ValueKind::choice:
      return fmt::format("COMPREPLY=($(compgen -W '{}' -- \"$cur\"))", fmt::join(info.choices, " "));
    case ValueKind::file: return "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$cur\"))";
    case ValueKind::directory: return "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$cur\"))";
    case ValueKind::none:
    case ValueKind::text: return ":";
  }
  return ":";
}

std::string valued_options(const CLI::App& app, const std::string& command) {
  std::string text;
  for (const OptionInfo& info : describe_options(app)) {
    if (info.names.empty() || info.value == ValueKind::none) continue;
    std::vector<std::string> patterns;
    for (const std::string& name : info.names) patterns.push_back(fmt::format("{}:{}", command, name));
    text += fmt::format("    {}) {}; return ;;\n", fmt::join(patterns, "|"), reply_for(info));
  }
  return text;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const OptionInfo& info : describe_options(app)) names.insert(names.end(), info.names.begin(), info.names.end());
  return names;
}

std::vector<std::string> names_with_values(const CLI::App& app) {
  std::vector<std::string> names;
  for (const OptionInfo& info : describe_options(app)) {
    if (info.value != ValueKind::none) names.insert(names.end(), info.names.begin(), info.names.end());
  }
  return names;
}

}  // namespace

std::string bash_completion(const CLI::App& root) {
  std::vector<std::string> commands;
  for (const CLI::App* command : visible_commands(root)) commands.push_back(command->get_name());

  std::string text = R"(# bash completion of spdkio, written by 'spdkio completion bash'
_spdkio() {
  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" command="" options="" i
  COMPREPLY=()
  # bash hands over --option=value as three words.
  if [[ $cur == "=" ]]; then
    cur=""
  elif [[ $prev == "=" ]]; then
    prev="${COMP_WORDS[COMP_CWORD-2]}"
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${COMP_WORDS[i]}" in
)";
  text += fmt::format("      {})\n        [[ ${{COMP_WORDS[i+1]}} == \"=\" ]] && ((i++))\n        ((i++)) ;;\n",
                      fmt::join(names_with_values(root), "|"));
  text +=
      fmt::format("      {}) command=\"${{COMP_WORDS[i]}}\"; break ;;\n    esac\n  done\n", fmt::join(commands, "|"));

  text += "  case \"$command:$prev\" in\n";
  text += valued_options(root, "*");
  for (const CLI::App* command : visible_commands(root)) text += valued_options(*command, command->get_name());
  text += "  esac\n";

  text += fmt::format("  options=\"{}\"\n", fmt::join(option_names(root), " "));
  text += "  case \"$command\" in\n";
  for (const CLI::App* command : visible_commands(root)) {
    text += fmt::format("    {}) options+=\" {}\" ;;\n", command->get_name(), fmt::join(option_names(*command), " "));
  }
  text += R"(  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
    return
  fi
  case "$command" in
)";
  text += fmt::format("    \"\") COMPREPLY=($(compgen -W '{}' -- \"$cur\")) ;;\n", fmt::join(commands, " "));
  for (const CLI::App* command : visible_commands(root)) {
    for (const OptionInfo& info : describe_options(*command)) {
      if (info.positional.empty() || info.value == ValueKind::text) continue;
      text += fmt::format("    {}) {} ;;\n", command->get_name(), reply_for(info));
      break;
    }
  }
  text += "  esac\n}\ncomplete -F _spdkio spdkio\n";
  return text;
}

}  // namespace spdkio::tool
