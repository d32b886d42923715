
#include "spdkio/cli/program.hpp"

#include "spdkio/cli/closest.hpp"
#include "spdkio/cli/help_page.hpp"
#include "spdkio/cli/option_info.hpp"

#include <spdkio/base/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <new>
#include <sstream>

namespace spdkio::tool {
namespace {

struct Message {
  std::string what;
  std::string hint;
};

void print_message(const Terminal& err, const Message& message) {
  err.line(err.paint(Tone::bad, "spdkio:") + " " + message.what);
  if (!message.hint.empty()) err.line(err.paint(Tone::accent, "  hint:") + " " + message.hint);
  err.stream().flush();
}

const CLI::App& chosen_command(const CLI::App& root) {
  const auto chosen = root.get_subcommands();
  return chosen.empty() ? root : *chosen.front();
}

std::string help_command(const CLI::App& root, const CLI::App& command) {
  return &command == &root ? "spdkio --help" : fmt::format("spdkio {} --help", command.get_name());
}

Message describe_unknown(const CLI::App& root, const std::string& word) {
  const CLI::App& command = chosen_command(root);
  std::vector<std::string> candidates;
  std::string what;
  if (word.starts_with("-")) {
    const std::string name = word.substr(0, word.find('='));
    what = &command == &root ? fmt::format("unknown option '{}'", printable(name))
                             : fmt::format("unknown option '{}' for '{}'", printable(name), command.get_name());
    for (const CLI::App* app : {&command, &root}) {
      for (const OptionInfo& info : describe_options(*app)) {
        candidates.insert(candidates.end(), info.names.begin(), info.names.end());
      }
    }
    if (const auto meant = closest(name, candidates)) {
      return {what, fmt::format("did you mean {}? See '{}'", *meant, help_command(root, command))};
    }
  } else if (&command == &root) {
    what = fmt::format("unknown command '{}'", printable(word));
    for (const CLI::App* app : visible_commands(root)) candidates.push_back(app->get_name());
    if (const auto meant = closest(word, candidates)) {
      return {what, fmt::format("did you mean 'spdkio {}'?", *meant)};
    }
  } else {
    what = fmt::format("unexpected argument '{}' for '{}'", printable(word), command.get_name());
  }
  return {what, fmt::format("see '{}'", help_command(root, command))};
}

Message describe_mistake(const CLI::App& root, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = root.remaining(true);
  for (const std::string& word : unknown) {
    if (word != "--") return describe_unknown(root, word);
  }
  const CLI::App& command = chosen_command(root);
  if (&command == &root && error.get_name() == "RequiredError") {
    return {"no command given", "'spdkio --help' lists the commands"};
  }
  std::string what = printable(error.what());
  if (what.size() > 1 && std::isupper(static_cast<unsigned char>(what[0])) != 0 &&
      std::islower(static_cast<unsigned char>(what[1])) != 0) {
    what[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(what[0])));
  }
  return {what, fmt::format("see '{}'", help_command(root, command))};
}

/// Two lines: what failed, and a hint or else what was being done. With --verbose everything.
void print_error(const Terminal& err, const Error& error, bool verbose) {
  const std::string name = err.paint(Tone::bad, "spdkio:") + " ";
  if (verbose) {
    std::istringstream report(error.report());
    bool first = true;
    for (std::string line; std::getline(report, line); first = false) {
      err.line((first ? name : "") + printable(line));
    }
    err.stream().flush();
    return;
  }
  const std::string context = fmt::format("{}", fmt::join(error.context(), "; "));
  if (error.hint().empty()) {
    err.line(name + printable(error.brief()));
    if (!context.empty()) err.line(err.paint(Tone::accent, "  while:") + " " + printable(context));
    err.stream().flush();
    return;
  }
  const std::string what = error.brief() + (context.empty() ? "" : "; " + context);
  print_message(err, {printable(what), printable(error.hint())});
}

ExitCode run_command(const Program& program, Session& session) {
  for (const Command& command : program.commands) {
    if (!command.app->parsed()) continue;
    try {
      const ExitCode code = command.run(session);
      session.out.stream().flush();
      if (!session.out.stream()) throw Failure("the output could not be written");
      return code;
    } catch (const Failure& failure) {
      session.out.stream().flush();
      print_message(session.err, {printable(failure.what()), printable(failure.hint())});
      return failure.code();
    } catch (const Error& error) {
      session.out.stream().flush();
      print_error(session.err, error, session.global.verbose);
      return ExitCode::failed;
    } catch (const std::bad_alloc&) {
      print_message(session.err, {"out of memory", ""});
      return ExitCode::failed;
    } catch (const std::exception& error) {
      print_message(session.err, {printable(error.what()), ""});
      return ExitCode::failed;
    }
  }
  return ExitCode::usage;
}

}  // namespace

Program make_program(std::size_t width) {
  Program program;
  program.root = std::make_unique<CLI::App>("spdkio: user-space block storage from the command line", "spdkio");
  program.global = std::make_unique<GlobalOptions>();
  CLI::App& root = *program.root;
  GlobalOptions& global = *program.global;

  root.formatter(make_help_formatter(width));
  root.fallthrough();
  root.require_subcommand(1);
  root.set_help_flag("-h,--help", "Show this help, or that of a command");
  root.set_version_flag("--version", "spdkio " SPDKIO_VERSION, "Show the version");
  root.add_option("--engine", global.engine, "Which engine does the I/O")
      ->type_name("NAME")
      ->check(CLI::IsMember({"embedded", "spdk"}))
      ->envname("SPDKIO_ENGINE")
      ->capture_default_str();
  root.add_flag("-v,--verbose", global.verbose,
                "Log what the library does to standard error, and tell all of an error");
  root.add_flag("--no-color", global.no_color, "No colours, even on a terminal");
  add_help_sections(root,
                    {{"What this machine offers for storage I/O, and what is missing", "spdkio doctor"},
                     {"Options and examples of one command", "spdkio doctor --help"},
                     {"Completion in this shell", "source <(spdkio completion bash)"}},
                    {{"Environment",
                      "SPDKIO_ENGINE   engine when --engine is not given\n"
                      "NO_COLOR        any value: no colours\n"
                      "CLICOLOR_FORCE  any value but 0: colours even into a pipe"},
                     {"Exit status",
                      "0  done\n"
                      "1  the operation failed\n"
                      "2  the command line cannot be right"}});
  for (const AddCommand add : all_commands()) {
    program.commands.push_back(add(root));
    program.commands.back().app->set_help_flag("-h,--help", "Show this help");
  }
  return program;
}

int run_program(const std::vector<std::string>& args, const Streams& streams) {
  const auto traits = [&](int fd, bool no_color) { return detect_terminal(fd, no_color, streams.get_env); };
  // Mistakes are reported before --no-color can be known from the parsed options.
  const bool no_color = std::find(args.begin(), args.end(), "--no-color") != args.end();
  Session session{.out = Terminal{streams.out, traits(streams.out_fd, no_color)},
                  .err = Terminal{streams.err, traits(streams.err_fd, no_color)},
                  .get_env = streams.get_env,
                  .command_line = args};
  try {
    Program program = make_program(session.out.traits().width);
    try {
      std::vector<std::string> reversed;
      if (!args.empty()) reversed.assign(args.rbegin(), args.rend() - 1);
      program.root->parse(std::move(reversed));
    } catch (const CLI::CallForHelp&) {
      session.out.write(chosen_command(*program.root).help());
      session.out.stream().flush();
      return static_cast<int>(ExitCode::success);
    } catch (const CLI::CallForVersion& version) {
      session.out.line(version.what());
      session.out.stream().flush();
      return static_cast<int>(ExitCode::success);
    } catch (const CLI::ParseError& error) {
      print_message(session.err, describe_mistake(*program.root, error));
      return static_cast<int>(ExitCode::usage);
    }
    session.global = *program.global;
    return static_cast<int>(run_command(program, session));
  } catch (const std::exception& error) {
    print_message(session.err, {printable(error.what()), ""});
    return static_cast<int>(ExitCode::failed);
  }
}

}  // namespace spdkio::tool
