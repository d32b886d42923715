
#include "spdkio/report/report_command.hpp"

#include "spdkio/cli/help_page.hpp"
#include "spdkio/report/report_html.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

namespace spdkio::tool {
namespace {

struct ReportOptions {
  std::vector<std::string> results;
  std::string output;
  std::string title;
};

std::string read_file(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  if (!file) throw Failure{fmt::format("{} cannot be read: {}", path, std::strerror(errno))};
  std::string text{std::istreambuf_iterator<char>{file}, {}};
  if (file.bad()) throw Failure{fmt::format("{} cannot be read to its end", path)};
  return text;
}

ExitCode run(const ReportOptions& options, Session& session) {
  std::vector<ReportInput> inputs;
  for (const std::string& path : options.results) {
    inputs.push_back({std::filesystem::path{path}.stem().string(), bench_result_from_json(read_file(path), path)});
  }
  const std::string page = report_html(inputs, options.title);
  if (options.output.empty() || options.output == "-") {
    session.out.write(page);
    return ExitCode::success;
  }
  std::ofstream file{options.output, std::ios::binary | std::ios::trunc};
  file << page;
  file.close();
  if (!file) throw Failure{fmt::format("{} cannot be written: {}", options.output, std::strerror(errno))};
  return ExitCode::success;
}

}  // namespace

Command add_report_command(CLI::App& root) {
  CLI::App* app = root.add_subcommand("report", "Write an HTML page from the JSON results of bench runs");
  auto options = std::make_shared<ReportOptions>();
  app->add_option("RESULT", options->results, "Results written by 'spdkio bench --json'; several are compared")
      ->required()
      ->type_name("FILE");
  app->add_option("-o,--output", options->output, "Where the page goes; standard output when not given")
      ->type_name("FILE");
  app->add_option("--title", options->title, "Heading of the page")->type_name("TEXT");
  add_help_sections(*app, {{"One run", "spdkio report run.json -o run.html"},
                           {"Two runs side by side", "spdkio report before.json after.json -o compare.html"}});
  return {app, [options](Session& session) { return run(*options, session); }};
}

}  // namespace spdkio::tool
