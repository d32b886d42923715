
#include "spdkio/doctor/check.hpp"
#include "spdkio/system/machine_info.hpp"

#include <fmt/format.h>

#include <tuple>

namespace spdkio::tool {
namespace {

// 5.10 brought most of the io_uring operations for files, 6.1 task work that is deferred to the waiting thread.
constexpr std::tuple<unsigned, unsigned> least_kernel{5, 10};
constexpr std::tuple<unsigned, unsigned> good_kernel{6, 1};

std::tuple<unsigned, unsigned> parse_version(std::string_view release) {
  const std::size_t dot = release.find('.');
  const auto major = parse_number(release.substr(0, dot)).value_or(0);
  std::uint64_t minor = 0;
  if (dot != std::string_view::npos) {
    const std::string_view rest = release.substr(dot + 1);
    minor = parse_number(rest.substr(0, rest.find_first_not_of("0123456789"))).value_or(0);
  }
  return {static_cast<unsigned>(major), static_cast<unsigned>(minor)};
}

Finding kernel(const SystemRoot& root) {
  Finding finding{.id = "kernel", .title = "Kernel"};
  const std::string release = root.line("/proc/sys/kernel/osrelease").value_or("");
  finding.data["release"] = release;
  finding.value = release;
  const auto version = parse_version(release);
  if (std::get<0>(version) == 0) {
    finding.level = Level::warn;
    finding.value = "unknown";
    finding.meaning = "/proc is not readable; other findings may be incomplete.";
  } else if (version < least_kernel) {
    finding.level = Level::warn;
    finding.meaning = "Older than 5.10: io_uring lacks operations, files fall back to slower ways.";
  } else if (version < good_kernel) {
    finding.meaning = "6.1 or newer serves io_uring completions with fewer interruptions.";
  }
  return finding;
}

}  // namespace

Section check_system(const Surroundings& here) {
  const MachineInfo info = read_machine_info(here.root);
  Section section{.title = "System"};
  section.findings.push_back(kernel(here.root));

  Finding place{.id = "environment", .title = "Runs in"};
  place.value = info.virtual_machine ? "virtual machine" : "bare metal, as far as can be seen";
  if (!info.container.empty()) {
    place.value += fmt::format(", container ({})", info.container);
    place.meaning = "Limits, devices and hugepages below are those that the container was given.";
  }
  if (!info.distribution.empty()) place.value += ", " + info.distribution;
  place.data = {
      {"virtual_machine", info.virtual_machine}, {"container", info.container}, {"distribution", info.distribution}};
  section.findings.push_back(std::move(place));
  return section;
}

}  // namespace spdkio::tool
