
#include "spdkio/doctor/doctor_command.hpp"

#include "spdkio/cli/help_page.hpp"
#include "spdkio/doctor/doctor.hpp"

#include <spdkio/base/error.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <dlfcn.h>
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>

#include "engine/linked_engine.hpp"

namespace spdkio::tool {
namespace {

struct DoctorOptions {
  bool json = false;
  bool quiet = false;
  std::vector<std::string> required;
  std::string sysroot = "/";
};

// Where the library looks for engine modules, and where the dynamic linker would after that.
std::vector<std::string> module_folders(const GetEnv& get_env) {
  std::vector<std::string> folders;
  if (const char* path = get_env("SPDKIO_ENGINE_PATH"); path != nullptr) {
    for (std::string_view rest{path}; !rest.empty();) {
      const std::size_t end = std::min(rest.find(':'), rest.size());
      if (end != 0) folders.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  Dl_info library{};
  if (::dladdr(reinterpret_cast<const void*>(&misuse_category), &library) != 0 && library.dli_fname != nullptr) {
    std::error_code error;
    const auto folder = std::filesystem::absolute(library.dli_fname, error).parent_path();
    if (!error) folders.push_back(folder.string());
  }
  for (const char* folder : {"/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"}) {
    if (std::find(folders.begin(), folders.end(), folder) == folders.end()) folders.emplace_back(folder);
  }
  return folders;
}

void require(const std::vector<Section>& sections, const std::vector<std::string>& required) {
  std::vector<std::string> lacking;
  for (const std::string& id : required) {
    const Finding* found = nullptr;
    for (const Section& section : sections) {
      for (const Finding& finding : section.findings) {
        if (finding.id == id) found = &finding;
      }
    }
    if (found == nullptr)
      throw Failure::usage(fmt::format("there is no finding '{}'", id), "'spdkio doctor --json' lists them as 'id'");
    if (found->level != Level::ok) lacking.push_back(fmt::format("{} ({})", id, to_string(found->level)));
  }
  if (!lacking.empty())
    throw Failure{fmt::format("not ok: {}", fmt::join(lacking, ", ")), "the findings above say what to do"};
}

ExitCode run(const DoctorOptions& options, Session& session) {
  Surroundings here{.root = SystemRoot{options.sysroot},
                    .module_folders = module_folders(session.get_env),
                    .spdk_linked_in = engine::LinkedEngine::find("spdk") != nullptr};
  // A tree that stands in for the machine says nothing about the kernel that runs this.
  here.probe_io_uring = here.root.is_live() ? probe_io_uring : [] { return IoUringProbe{.setup_errno = ENOSYS}; };
  const auto sections = examine(here);
  if (options.json) {
    session.out.line(findings_json(sections).dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    print_findings(session.out, sections, options.quiet);
  }
  require(sections, options.required);
  return ExitCode::success;
}

}  // namespace

Command add_doctor_command(CLI::App& root) {
  CLI::App* app =
      root.add_subcommand("doctor", "Show what this machine offers for storage I/O and how to fix what is missing");
  auto options = std::make_shared<DoctorOptions>();
  app->add_flag("--json", options->json, "Write JSON for programs");
  app->add_flag("-q,--quiet", options->quiet, "Leave out what is ok");
  app->add_option("--require", options->required, "End with exit status 1 unless this finding is ok; can be repeated")
      ->type_name("ID")
      ->allow_extra_args(false);
  app->add_option("--sysroot", options->sysroot, "Look below this folder instead of /")->type_name("DIR")->group("");
  add_help_sections(
      *app,
      {{"Everything, with the commands that fix what is missing", "spdkio doctor"},
       {"Only what needs attention", "spdkio doctor --quiet"},
       {"In a script: stop unless io_uring and hugepages are there",
        "spdkio doctor --require io_uring --require hugepages > /dev/null || exit 1"},
       {"Facts for a program", "spdkio doctor --json | jq '.findings[] | select(.id == \"hugepages\").data'"}},
      {{"Levels",
        "ok       as it should be\n"
        "warn     works, but slower or with limits\n"
        "missing  what depends on it does not work; the embedded engine has other ways for most of it"},
       {"Environment",
        "SPDKIO_ENGINE_PATH   folders in which engine modules are looked for first, with colons between"},
       {"Exit status", "0  always, unless --require names something that is not ok (1) or does not exist (2)"}});
  return {app, [options](Session& session) { return run(*options, session); }};
}

}  // namespace spdkio::tool
