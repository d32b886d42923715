
#include "spdkio/doctor/check.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace spdkio::tool {
namespace {

constexpr std::string_view spdk_module = "libspdkio-engine-spdk.so";

std::string installed_spdk(const SystemRoot& root) {
  for (const std::string_view folder :
       {"/usr/local/lib/pkgconfig", "/usr/lib/pkgconfig", "/usr/lib64/pkgconfig", "/usr/lib/x86_64-linux-gnu/pkgconfig",
        "/usr/lib/aarch64-linux-gnu/pkgconfig", "/opt/spdk/lib/pkgconfig"}) {
    const std::string file = fmt::format("{}/spdk_event.pc", folder);
    if (const auto text = root.text(file)) {
      return fmt::format("SPDK {} ({})", keyed_value(*text, "Version").value_or("of unknown version"), folder);
    }
  }
  return {};
}

Finding spdk(const Surroundings& here) {
  Finding finding{.id = "engine_spdk", .title = "spdk"};
  if (here.spdk_linked_in) {
    finding.value = "built in";
    finding.data = {{"builtin", true}};
    return finding;
  }
  std::string found;
  for (const std::string& folder : here.module_folders) {
    const std::string path = fmt::format("{}/{}", folder, spdk_module);
    if (found.empty() && here.root.exists(path)) found = path;
  }
  const std::string installed = installed_spdk(here.root);
  finding.data = {{"module", found}, {"installed", installed}, {"looked_in", here.module_folders}};
  if (!found.empty()) {
    finding.value = found;
    return finding;
  }
  finding.level = Level::missing;
  finding.value = fmt::format("no {}", spdk_module);
  finding.meaning =
      installed.empty()
          ? "Programs run on the embedded engine. SPDK itself is not installed either."
          : fmt::format("Programs run on the embedded engine. {} is installed; its engine module has to be built.",
                        installed);
  return finding;
}

}  // namespace

Section check_engines(const Surroundings& here) {
  return {"Engines",
          {Finding{.id = "engine_embedded", .title = "embedded", .value = "built in", .data = {{"builtin", true}}},
           spdk(here)}};
}

}  // namespace spdkio::tool
