#include "spdkio/top/top_command.hpp"

#include "spdkio/cli/help_page.hpp"
#include "spdkio/rpc/rpc_call.hpp"
#include "spdkio/terminal/bars.hpp"
#include "spdkio/terminal/table.hpp"
#include "spdkio/top/top_sample.hpp"

#include <spdkio/base/byte_size.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

namespace spdkio::tool {
namespace {

struct TopOptions {
  std::string socket{default_rpc_socket};
  double interval_s = 1;
  std::uint64_t count = 0;
  bool once = false;
  bool json = false;
  bool all = false;
};

TopLook look(rpc::Client& client) {
  TopLook look;
  look.iostat = call_rpc(client, "bdev_get_iostat");
  look.threads = call_rpc(client, "thread_get_stats");
  look.reactors = call_rpc(client, "framework_get_reactors");
  return look;
}

std::string latency(double us) { return us == 0 ? "" : fmt::format("{:.1f}", us); }

bool idle(const TopDevice& device) { return device.read_iops + device.write_iops + device.other_iops == 0; }

/// The busiest devices first; idle ones only when asked for.
void print_devices(const Terminal& out, const TopRates& rates, bool all) {
  std::vector<TopDevice> devices = rates.devices;
  std::ranges::sort(devices, [](const TopDevice& a, const TopDevice& b) {
    const auto rate = [](const TopDevice& device) { return device.read_iops + device.write_iops + device.other_iops; };
    return rate(a) != rate(b) ? rate(a) > rate(b) : a.name < b.name;
  });
  Table table{{{"DEVICE"},
               {"READ/S", Align::right},
               {"WRITE/S", Align::right},
               {"OTHER/S", Align::right},
               {"READ", Align::right},
               {"WRITE", Align::right},
               {"READ US", Align::right},
               {"WRITE US", Align::right}}};
  for (const TopDevice& device : devices) {
    if (!all && idle(device)) continue;
    table.add_row({{printable(device.name), Tone::strong},
                   format_count(device.read_iops),
                   format_count(device.write_iops),
                   format_count(device.other_iops),
                   format_rate(device.read_bytes_s),
                   format_rate(device.write_bytes_s),
                   latency(device.read_latency_us),
                   latency(device.write_latency_us)});
  }
  if (table.empty()) {
    out.line(fmt::format("no device of {} was used", devices.size()));
  } else {
    table.print(out);
  }
}

void print_threads(const Terminal& out, const TopRates& rates) {
  constexpr std::size_t bar_width = 20;
  Table table{{{"THREAD"}, {"CORE", Align::right}, {"BUSY", Align::right}, {""}, {"POLLERS", Align::right}}};
  for (const TopThread& thread : rates.threads) {
    table.add_row({{printable(thread.name), Tone::strong},
                   fmt::format("{}", thread.core),
                   fmt::format("{:.0f}%", thread.busy * 100),
                   gauge(out, thread.busy, bar_width),
                   fmt::format("{}", thread.pollers)});
  }
  table.print(out);
}

void print(const Terminal& out, const TopRates& rates, const TopOptions& options) {
  std::string reactors;
  for (const TopReactor& reactor : rates.reactors) {
    reactors += fmt::format("{}core {} {:.0f}%{}", reactors.empty() ? "" : ", ", reactor.core, reactor.busy * 100,
                            reactor.sleeping ? " (asleep)" : "");
  }
  out.line(out.paint(Tone::dim, fmt::format("{}, over {:.1f} s", reactors, rates.seconds)));
  out.line("");
  print_devices(out, rates, options.all);
  out.line("");
  print_threads(out, rates);
}

/// In place of the former view: everything is written at once, so that nothing flickers.
void redraw(const Terminal& out, const TopRates& rates, const TopOptions& options) {
  std::ostringstream text;
  print(Terminal{text, out.traits()}, rates, options);
  std::string lines = text.str();
  std::string cleared = "\x1b[H";
  for (const char c : lines) {
    if (c == '\n') cleared += "\x1b[K";
    cleared += c;
  }
  out.write(cleared + "\x1b[J");
}

ExitCode run(const TopOptions& options, Session& session) {
  if (!(options.interval_s >= 0.05) || options.interval_s > 3600) throw Failure::usage("--interval is not a time");
  rpc::Client client = connect_rpc(options.socket, std::chrono::seconds{60});
  const Terminal& out = session.out;
  const bool live = out.traits().live && !options.json && !options.once && options.count == 0;
  if (live) out.write("\x1b[2J");
  TopLook before = look(client);
  const std::uint64_t count = options.once ? 1 : options.count;
  for (std::uint64_t shown = 0; count == 0 || shown < count; ++shown) {
    std::this_thread::sleep_for(std::chrono::duration<double>(options.interval_s));
    TopLook after = look(client);
    const TopRates rates = top_rates(before, after);
    if (options.json) {
      out.line(rpc::dump_json(top_to_json(rates)));
    } else if (live) {
      redraw(out, rates, options);
    } else {
      if (shown != 0) out.line("");
      print(out, rates, options);
    }
    out.stream().flush();
    if (!out.stream()) break;
    before = std::move(after);
  }
  return ExitCode::success;
}

}  // namespace

Command add_top_command(CLI::App& root) {
  CLI::App* app = root.add_subcommand("top", "Watch the devices and threads of a running program");
  auto options = std::make_shared<TopOptions>();
  app->add_option("-s,--socket", options->socket, "Unix socket of the server, or 127.0.0.1:port")
      ->type_name("FILE")
      ->envname("SPDKIO_RPC_SOCKET")
      ->capture_default_str();
  app->add_option("-i,--interval", options->interval_s, "Seconds from one look to the next")
      ->type_name("S")
      ->capture_default_str();
  app->add_option("-n,--count", options->count, "So many views, then end")->type_name("N");
  app->add_flag("--once", options->once, "One view of one interval");
  app->add_flag("--json", options->json, "A line of JSON for each interval, for programs");
  app->add_flag("-a,--all", options->all, "Show idle devices too");
  add_help_sections(*app,
                    {{"Live, until interrupted", "spdkio top --socket /var/tmp/spdk.sock"},
                     {"One look, for a script", "spdkio top --once --json | jq '.devices[0].read_iops'"}},
                    {{"Servers", "Any program that speaks SPDK's JSON-RPC: ours and SPDK's own."}});
  return {app, [options](Session& session) { return run(*options, session); }};
}

}  // namespace spdkio::tool
