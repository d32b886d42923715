
#include "spdkio/cli/program.hpp"

#include "spdkio/cli/closest.hpp"
#include "spdkio/cli/option_info.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <sstream>

namespace spdkio::tool {
namespace {

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

Outcome run(std::vector<std::string> args, const std::map<std::string, std::string>& environment = {}) {
  std::ostringstream out, err;
  args.insert(args.begin(), "spdkio");
  const int code =
      run_program(args, {.out = out, .err = err, .out_fd = -1, .err_fd = -1, .get_env = [&](const char* name) {
                           const auto found = environment.find(name);
                           return found == environment.end() ? nullptr : found->second.c_str();
                         }});
  return {code, out.str(), err.str()};
}

TEST(Program, VersionAndHelpGoToOutput) {
  EXPECT_EQ(run({"--version"}).out, "spdkio " SPDKIO_VERSION "\n");
  const Outcome help = run({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(help.err, "");
  for (const char* part :
       {"Usage: spdkio", "Commands:", "Examples:", "Environment:", "Exit status:", "--engine NAME"}) {
    EXPECT_NE(help.out.find(part), std::string::npos) << part;
  }
}

TEST(Program, EveryCommandHasHelpWithExamples) {
  const Program program = make_program(80);
  ASSERT_FALSE(program.commands.empty());
  for (const Command& command : program.commands) {
    const std::string name = command.app->get_name();
    const Outcome help = run({name, "--help"});
    EXPECT_EQ(help.code, 0) << name;
    EXPECT_NE(help.out.find("Usage: spdkio " + name), std::string::npos) << help.out;
    EXPECT_NE(help.out.find("\nExamples:\n"), std::string::npos) << name;
    EXPECT_FALSE(command.app->get_description().empty()) << name;
    EXPECT_TRUE(command.app->get_subcommands({}).empty()) << name << ": completion knows one level of commands";
    for (const OptionInfo& info : describe_options(*command.app)) {
      EXPECT_FALSE(info.description.empty())
          << name << " " << info.positional << (info.names.empty() ? "" : info.names[0]);
    }
  }
}

TEST(Program, HelpFitsTheTerminal) {
  for (const Command& command : make_program(70).commands) {
    std::istringstream page{command.app->help()};
    for (std::string line; std::getline(page, line);) {
      // Examples stay on one line, so that they can be pasted.
      if (line.starts_with("  ") && (line.find("spdkio") != std::string::npos || line.starts_with("  #"))) continue;
      if (line.starts_with("Usage:") || command.app->get_footer().find(line) != std::string::npos) continue;
      EXPECT_LE(line.size(), 70U) << line;
    }
  }
}

TEST(Program, MistakesAreTwoLinesAndExitStatusTwo) {
  const Outcome nothing = run({});
  EXPECT_EQ(nothing.code, 2);
  EXPECT_EQ(nothing.out, "");
  EXPECT_EQ(nothing.err, "spdkio: no command given\n  hint: 'spdkio --help' lists the commands\n");

  const Outcome command = run({"docter"});
  EXPECT_EQ(command.code, 2);
  EXPECT_EQ(command.err, "spdkio: unknown command 'docter'\n  hint: did you mean 'spdkio doctor'?\n");

  const Outcome option = run({"doctor", "--jsno"});
  EXPECT_EQ(option.code, 2);
  EXPECT_EQ(option.err,
            "spdkio: unknown option '--jsno' for 'doctor'\n  hint: did you mean --json? See 'spdkio doctor --help'\n");

  const Outcome argument = run({"doctor", "now"});
  EXPECT_EQ(argument.code, 2);
  EXPECT_EQ(argument.err, "spdkio: unexpected argument 'now' for 'doctor'\n  hint: see 'spdkio doctor --help'\n");

  EXPECT_EQ(run({"--engine"}).code, 2);
  EXPECT_EQ(run({"doctor", "--engine", "steam"}).code, 2);
  EXPECT_EQ(run({"completion"}).code, 2);
  EXPECT_EQ(run({"completion", "tcsh"}).code, 2);
}

TEST(Program, ControlCharactersInMistakesDoNotReachTheTerminal) {
  EXPECT_EQ(run({"doc\x1b[2J"}).err.find('\x1b'), std::string::npos);
}

TEST(Program, GlobalOptionsStandAnywhere) {
  EXPECT_EQ(run({"--no-color", "completion", "bash"}).code, 0);
  EXPECT_EQ(run({"completion", "bash", "--verbose", "--engine", "embedded"}).code, 0);
}

TEST(Program, EngineComesFromTheEnvironmentAndIsChecked) {
  // The library that parses options asks the process itself, so this sets the real variable.
  ::setenv("SPDKIO_ENGINE", "steam", 1);
  const Outcome outcome = run({"completion", "bash"});
  ::unsetenv("SPDKIO_ENGINE");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("steam"), std::string::npos);
}

TEST(Program, FailuresOfCommandsAreTwoLinesAndExitStatusOne) {
  const Outcome outcome = run({"report", "/nonexistent/run.json"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "spdkio: /nonexistent/run.json cannot be read: No such file or directory\n");
}

TEST(Program, ErrorsAreTwoLinesAndAllOfItWithVerbose) {
  const Outcome brief = run({"rpc", "bdev_get_bdevs", "--socket", "/nonexistent/rpc.sock"});
  EXPECT_EQ(brief.code, 1);
  EXPECT_EQ(brief.out, "");
  EXPECT_EQ(std::count(brief.err.begin(), brief.err.end(), '\n'), 2) << brief.err;
  EXPECT_TRUE(brief.err.starts_with("spdkio: ")) << brief.err;
  const Outcome whole = run({"--verbose", "rpc", "bdev_get_bdevs", "--socket", "/nonexistent/rpc.sock"});
  EXPECT_EQ(whole.code, 1);
  EXPECT_NE(whole.err.find("\n  status: No such file or directory (generic 2)\n"), std::string::npos) << whole.err;
}

TEST(Program, ColoursFollowTheEnvironment) {
  EXPECT_NE(run({"docter"}, {{"CLICOLOR_FORCE", "1"}}).err.find("\x1b[31m"), std::string::npos);
  EXPECT_EQ(run({"docter"}, {{"CLICOLOR_FORCE", "1"}, {"NO_COLOR", "1"}}).err.find('\x1b'), std::string::npos);
  EXPECT_EQ(run({"docter", "--no-color"}, {{"CLICOLOR_FORCE", "1"}}).err.find('\x1b'), std::string::npos);
}

TEST(Program, OutputThatCannotBeWrittenIsAFailure) {
  std::ostringstream err;
  std::ostream broken{nullptr};
  const int code = run_program(
      {"spdkio", "completion", "bash"},
      {.out = broken, .err = err, .out_fd = -1, .err_fd = -1, .get_env = [](const char*) { return nullptr; }});
  EXPECT_EQ(code, 1);
  EXPECT_EQ(err.str(), "spdkio: the output could not be written\n");
}

TEST(Program, RequireTurnsFindingsIntoAnExitStatus) {
  EXPECT_EQ(run({"doctor", "--require", "engine_embedded"}).code, 0);
  EXPECT_EQ(run({"doctor", "--sysroot", "/nonexistent", "--require", "io_uring"}).code, 1);
  const Outcome unknown = run({"doctor", "--require", "flux"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("'flux'"), std::string::npos);
}

TEST(Closest, FindsWhatWasMeant) {
  const std::vector<std::string> words{"doctor", "bench", "--queue-depth", "--json"};
  EXPECT_EQ(closest("docter", words), "doctor");
  EXPECT_EQ(closest("bnech", words), "bench");
  EXPECT_EQ(closest("--quue-depth", words), "--queue-depth");
  EXPECT_EQ(closest("xyz", words), std::nullopt);
  EXPECT_EQ(closest("", {}), std::nullopt);
}

}  // namespace
}  // namespace spdkio::tool
