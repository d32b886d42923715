
#include "spdkio/cli/option_info.hpp"

#include <sstream>

namespace spdkio::tool {
namespace {

ValueKind kind_of(const std::string& metavar, const std::vector<std::string>& choices) {
  if (!choices.empty()) return ValueKind::choice;
  if (metavar == "DIR") return ValueKind::directory;
  // A device may be given as `file:PATH` or as a plain path.
  if (metavar == "FILE" || metavar == "SPEC") return ValueKind::file;
  return ValueKind::text;
}

}  // namespace

OptionInfo describe_option(const CLI::Option& option) {
  OptionInfo info;
  for (const std::string& name : option.get_snames()) info.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) info.names.push_back("--" + name);
  if (option.get_positional()) info.positional = option.get_name(true, false);
  info.description = option.get_description();
  info.environment = option.get_envname();
  info.required = option.get_required();
  if (option.get_items_expected_max() == 0) return info;

  // The library joins the type's name and the descriptions of its checks: `NAME:{a,b,c}`.
  const std::string type = option.get_type_name();
  info.metavar = type.substr(0, type.find(':'));
  const std::size_t open = type.find('{');
  const std::size_t close = type.find('}', open);
  if (open != std::string::npos && close != std::string::npos) {
    std::istringstream list{type.substr(open + 1, close - open - 1)};
    for (std::string choice; std::getline(list, choice, ',');) info.choices.push_back(choice);
  }
  info.value = kind_of(info.metavar, info.choices);
  info.repeats = option.get_items_expected_max() > 1;
  info.default_text = option.get_default_str();
  return info;
}

std::vector<OptionInfo> describe_options(const CLI::App& app) {
  std::vector<OptionInfo> infos;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_group().empty()) infos.push_back(describe_option(*option));
  }
  return infos;
}

std::vector<const CLI::App*> visible_commands(const CLI::App& app) {
  std::vector<const CLI::App*> commands;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (!command->get_group().empty()) commands.push_back(command);
  }
  return commands;
}

}  // namespace spdkio::tool
