#include "spdkio/trace/trace_command.hpp"

#include "spdkio/cli/help_page.hpp"
#include "spdkio/rpc/rpc_call.hpp"
#include "spdkio/trace/chrome_trace.hpp"

#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace spdkio::tool {
namespace {

struct TraceOptions {
  std::string socket{default_rpc_socket};
  std::string output = "trace.json";
  std::vector<std::string> groups;
  double duration_s = 1;
  std::uint32_t events_per_thread = 65536;
};

/// Groups that were off before are switched off again, whatever happens.
class RecordedGroups {
 public:
  RecordedGroups(rpc::Client& client, const TraceOptions& options) : client_(client) {
    const Json before = call_rpc(client, "trace_get_tpoint_group_mask");
    for (const std::string& name : options.groups) {
      if (before.contains(name) && before[name].value("enabled", false)) continue;
      call_rpc(client, "trace_enable_tpoint_group", {{"name", name}, {"events_per_thread", options.events_per_thread}});
      enabled_.push_back(name);
    }
  }
  RecordedGroups(const RecordedGroups&) = delete;
  RecordedGroups& operator=(const RecordedGroups&) = delete;
  ~RecordedGroups() {
    for (const std::string& name : enabled_) {
      try {
        call_rpc(client_, "trace_disable_tpoint_group", {{"name", name}});
      } catch (const std::exception&) {
        // The program has gone, or says so to the call that failed before.
        return;
      }
    }
  }

 private:
  rpc::Client& client_;
  std::vector<std::string> enabled_;
};

/// All events that a thread keeps, page by page; those that are recorded meanwhile are for the next trace.
void fetch_thread(rpc::Client& client, std::uint64_t id, ChromeTrace& trace) {
  std::uint64_t next = 0;
  std::uint64_t end = UINT64_MAX;
  while (next < end) {
    const Json page = call_rpc(client, "trace_get_events", {{"thread_id", id}, {"first", next}, {"max_events", 2048}});
    if (end == UINT64_MAX) end = page.at("recorded").get<std::uint64_t>();
    const Json& events = page.at("events");
    if (!events.is_array() || events.empty()) return;
    for (const Json& event : events) trace.add_event(id, event);
    next = page.at("first").get<std::uint64_t>() + events.size();
  }
}

std::string record(const TraceOptions& options, std::uint64_t& events) {
  rpc::Client client = connect_rpc(options.socket, std::chrono::seconds{60});
  const Json threads = call_rpc(client, "thread_get_stats");
  const Json reactors = call_rpc(client, "framework_get_reactors");
  ChromeTrace trace(reactors.at("pid").get<std::uint64_t>(), "spdkio", threads.at("tick_rate").get<double>());
  const RecordedGroups recorded(client, options);
  std::this_thread::sleep_for(std::chrono::duration<double>(options.duration_s));
  for (const Json& thread : threads.at("threads")) {
    const auto id = thread.at("id").get<std::uint64_t>();
    trace.add_thread(id, thread.at("name").get<std::string>());
    fetch_thread(client, id, trace);
  }
  events = trace.events();
  return trace.finish();
}

ExitCode run(const TraceOptions& options, Session& session) {
  if (!(options.duration_s > 0) || options.duration_s > 3600) throw Failure::usage("--duration is not a time");
  std::uint64_t events = 0;
  std::string text;
  try {
    text = record(options, events);
  } catch (const Json::exception& error) {
    throw Failure(fmt::format("the server's answer is not understood: {}", error.what()),
                  "does it know trace_get_events? See 'spdkio rpc --methods'");
  }
  if (options.output == "-") {
    session.out.write(text);
    return ExitCode::success;
  }
  std::ofstream file(options.output, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) throw Failure(fmt::format("'{}' could not be written", printable(options.output)));
  session.out.line(fmt::format("{} events in {}; open it at https://ui.perfetto.dev or in chrome://tracing", events,
                               printable(options.output)));
  return ExitCode::success;
}

}  // namespace

Command add_trace_command(CLI::App& root) {
  CLI::App* app = root.add_subcommand("trace", "Record what a running program does, for Perfetto");
  auto options = std::make_shared<TraceOptions>();
  options->groups = {"thread", "task", "bdev"};
  app->add_option("-s,--socket", options->socket, "Unix socket of the server, or 127.0.0.1:port")
      ->type_name("FILE")
      ->envname("SPDKIO_RPC_SOCKET")
      ->capture_default_str();
  app->add_option("-o,--output", options->output, "File to write; - for standard output")
      ->type_name("FILE")
      ->capture_default_str();
  app->add_option("-d,--duration", options->duration_s, "Seconds to record")->type_name("S")->capture_default_str();
  app->add_option("-g,--groups", options->groups, "What to record: thread, task, bdev")
      ->type_name("NAME")
      ->delimiter(',')
      ->check(CLI::IsMember({"thread", "task", "bdev"}));
  app->add_option("--events", options->events_per_thread, "The newest so many events of each thread are kept")
      ->type_name("N")
      ->check(CLI::Range(64U, 1U << 20))
      ->capture_default_str();
  add_help_sections(*app,
                    {{"A second of everything", "spdkio trace --socket /var/tmp/spdk.sock"},
                     {"Requests to block devices only", "spdkio trace -g bdev -d 10 -o requests.json"}},
                    {{"Cost",
                      "While it records, every request is timed and every turn of a task that is recorded reads "
                      "the clock twice. Afterwards nothing is left."}});
  return {app, [options](Session& session) { return run(*options, session); }};
}

}  // namespace spdkio::tool
