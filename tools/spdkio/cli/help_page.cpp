
#include "spdkio/cli/help_page.hpp"

#include "spdkio/cli/option_info.hpp"
#include "spdkio/terminal/terminal.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace spdkio::tool {
namespace {

struct Entry {
  std::string left;
  std::string right;
};

std::string left_of(const OptionInfo& info) {
  // Long names line up whether or not there is a short one.
  std::string text;
  if (info.names.empty()) {
    text = info.positional;
  } else {
    const bool has_short = info.names.front().size() == 2;
    text = (has_short ? "" : "    ") + fmt::format("{}", fmt::join(info.names, ", "));
    if (!info.metavar.empty()) text += " " + info.metavar;
  }
  return text + (info.repeats ? " ..." : "");
}

std::string right_of(const OptionInfo& info) {
  std::string text = info.description;
  std::vector<std::string> notes;
  if (!info.choices.empty()) notes.push_back(fmt::format("one of: {}", fmt::join(info.choices, ", ")));
  if (!info.default_text.empty() && info.default_text != "[]") notes.push_back("default " + info.default_text);
  if (!info.environment.empty()) notes.push_back("environment: " + info.environment);
  if (info.required && info.positional.empty()) notes.push_back("required");
  if (!notes.empty()) text += fmt::format(" ({})", fmt::join(notes, "; "));
  return text;
}

class HelpFormatter : public CLI::FormatterBase {
 public:
  explicit HelpFormatter(std::size_t width) : width_(std::clamp<std::size_t>(width, 60, 110)) {}

  std::string make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const override {
    std::string path = app->get_name();
    for (const CLI::App* parent = app->get_parent(); parent != nullptr; parent = parent->get_parent()) {
      path = parent->get_name() + " " + path;
    }
    std::string page;
    for (const std::string& line : wrap(app->get_description(), width_)) page += line + "\n";
    page += "\nUsage: " + usage(*app, path) + "\n";

    std::vector<Entry> commands;
    for (const CLI::App* command : visible_commands(*app)) {
      commands.push_back({command->get_name(), command->get_description()});
    }
    section(page, "Commands", commands);

    std::vector<Entry> arguments;
    for (const OptionInfo& info : describe_options(*app)) {
      if (!info.positional.empty()) arguments.push_back({left_of(info), right_of(info)});
    }
    section(page, "Arguments", arguments);

    for (const std::string& group : app->get_groups()) {
      std::vector<Entry> options;
      for (const CLI::Option* option : app->get_options()) {
        if (group.empty() || option->get_group() != group || option->get_positional()) continue;
        const OptionInfo info = describe_option(*option);
        options.push_back({left_of(info), right_of(info)});
      }
      section(page, group, options);
    }
    if (app->get_parent() != nullptr) page += "\nOptions of every command: spdkio --help\n";
    page += app->get_footer();
    return page;
  }

 private:
  static std::string usage(const CLI::App& app, const std::string& path) {
    std::string text = path + " [options]";
    for (const OptionInfo& info : describe_options(app)) {
      if (info.positional.empty()) continue;
      const std::string name = info.positional + (info.repeats ? "..." : "");
      text += info.required ? " " + name : " [" + name + "]";
    }
    if (!visible_commands(app).empty()) text += " COMMAND";
    return text;
  }

  void section(std::string& page, const std::string& title, const std::vector<Entry>& entries) const {
    if (entries.empty()) return;
    constexpr std::size_t widest_left = 30;
    std::size_t column = 0;
    for (const Entry& entry : entries) column = std::max(column, std::min(entry.left.size(), widest_left));
    page += "\n" + title + ":\n";
    for (const Entry& entry : entries) {
      page += "  " + entry.left;
      std::size_t at = entry.left.size();
      if (at > column) {
        page += "\n  ";
        at = 0;
      }
      bool first = true;
      for (const std::string& line : wrap(entry.right, width_ - column - 4)) {
        page += first ? std::string(column - at + 2, ' ') : std::string(column + 4, ' ');
        page += line + "\n";
        first = false;
      }
    }
  }

  std::size_t width_;
};

void append_indented(std::string& page, std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    page += fmt::format("  {}\n", text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

void add_help_sections(CLI::App& app, std::initializer_list<Example> examples,
                       std::initializer_list<HelpSection> sections) {
  std::string text;
  if (examples.size() != 0) text += "\nExamples:\n";
  bool first = true;
  for (const Example& example : examples) {
    if (!first) text += "\n";
    first = false;
    text += fmt::format("  # {}\n", example.purpose);
    append_indented(text, example.command);
  }
  for (const HelpSection& section : sections) {
    text += fmt::format("\n{}:\n", section.title);
    append_indented(text, section.text);
  }
  app.footer(text);
}

std::shared_ptr<CLI::FormatterBase> make_help_formatter(std::size_t width) {
  return std::make_shared<HelpFormatter>(width);
}

}  // namespace spdkio::tool
