
#include "spdkio/doctor/doctor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace spdkio::tool {
namespace {

Tone tone_of(Level level) {
  switch (level) {
    case Level::ok: return Tone::ok;
    case Level::warn: return Tone::warn;
    case Level::missing: return Tone::bad;
  }
  return Tone::plain;
}

constexpr std::array levels{Level::ok, Level::warn, Level::missing};
constexpr std::size_t level_width = 9;

}  // namespace

std::string_view to_string(Level level) {
  switch (level) {
    case Level::ok: return "ok";
    case Level::warn: return "warn";
    case Level::missing: return "missing";
  }
  return "";
}

std::span<const Check> all_checks() {
  static constexpr Check checks[] = {check_system, check_cpus, check_memory, check_io_uring,
                                     check_limits, check_vfio, check_nvme,   check_engines};
  return checks;
}

std::vector<Section> examine(const Surroundings& here) {
  std::vector<Section> sections;
  for (const Check check : all_checks()) sections.push_back(check(here));
  return sections;
}

void print_findings(const Terminal& terminal, const std::vector<Section>& sections, bool quiet) {
  std::size_t title_width = 0;
  std::array<std::size_t, 3> counts{};
  for (const Section& section : sections) {
    for (const Finding& finding : section.findings) {
      ++counts[static_cast<std::size_t>(finding.level)];
      title_width = std::max(title_width, display_width(finding.title));
    }
  }
  const std::size_t column = 2 + level_width;
  const std::size_t value_column = column + title_width + 2;
  const std::size_t width = std::clamp<std::size_t>(terminal.traits().width, 80, 120);

  for (const Section& section : sections) {
    const bool any = std::any_of(section.findings.begin(), section.findings.end(),
                                 [&](const Finding& finding) { return !quiet || finding.level != Level::ok; });
    if (!any) continue;
    terminal.line(terminal.paint(Tone::strong, section.title));
    for (const Finding& finding : section.findings) {
      if (quiet && finding.level == Level::ok) continue;
      const std::string level{to_string(finding.level)};
      std::string line =
          "  " + terminal.paint(tone_of(finding.level), level) + std::string(level_width - level.size(), ' ');
      line += finding.title + std::string(title_width - display_width(finding.title) + 2, ' ');
      bool first = true;
      for (const std::string& part : wrap(printable(finding.value), width - value_column)) {
        terminal.line(first ? line + part : std::string(value_column, ' ') + part);
        first = false;
      }
      if (!finding.meaning.empty()) {
        for (const std::string& part : wrap(printable(finding.meaning), width - value_column)) {
          terminal.line(std::string(value_column, ' ') + terminal.paint(Tone::dim, part));
        }
      }
      // A command stays on one line, so that it can be selected and pasted.
      if (!finding.fix.empty()) {
        terminal.line(std::string(value_column, ' ') + terminal.paint(Tone::accent, "$ " + finding.fix));
      }
    }
    terminal.line("");
  }
  std::string summary;
  for (const Level level : levels) {
    if (!summary.empty()) summary += ", ";
    summary +=
        terminal.paint(tone_of(level), fmt::format("{} {}", counts[static_cast<std::size_t>(level)], to_string(level)));
  }
  terminal.line(summary);
}

nlohmann::ordered_json findings_json(const std::vector<Section>& sections) {
  auto list = nlohmann::ordered_json::array();
  nlohmann::ordered_json counts = {{"ok", 0}, {"warn", 0}, {"missing", 0}};
  for (const Section& section : sections) {
    for (const Finding& finding : section.findings) {
      auto& count = counts[std::string{to_string(finding.level)}];
      count = count.get<int>() + 1;
      list.push_back({{"id", finding.id},
                      {"section", section.title},
                      {"level", to_string(finding.level)},
                      {"title", finding.title},
                      {"value", finding.value},
                      {"meaning", finding.meaning},
                      {"fix", finding.fix},
                      {"data", finding.data}});
    }
  }
  return {{"schema", "spdkio.doctor"}, {"schema_version", 1}, {"counts", counts}, {"findings", list}};
}

}  // namespace spdkio::tool
