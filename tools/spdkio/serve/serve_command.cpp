
#include "spdkio/serve/serve_command.hpp"

#include "spdkio/app/tool_app.hpp"
#include "spdkio/cli/help_page.hpp"
#include "spdkio/serve/serve_plan.hpp"

#include <spdkio/app/app.hpp>
#include <spdkio/base/byte_size.hpp>
#include <spdkio/base/error_context.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/nvmf/target.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <memory>

namespace spdkio::tool {
namespace {

struct CommandOptions {
  ServeOptions serve;
  std::string cores;
  std::string rpc;
  std::string metrics;
  std::uint64_t stall_limit_ms = 0;
  std::string poll_mode = "adaptive";
  bool json = false;
  bool quiet = false;
};

Json ready_json(const nvmf::Target& target, const std::string& rpc_address) {
  Json subsystems = Json::array();
  for (const nvmf::Subsystem& subsystem : target.subsystems()) {
    if (subsystem.is_discovery()) continue;
    Json listeners = Json::array();
    for (const nvme::TransportId& where : subsystem.listeners()) listeners.push_back(where.to_string());
    Json namespaces = Json::array();
    for (const nvmf::NamespaceInfo& ns : subsystem.namespaces()) {
      namespaces.push_back({{"nsid", ns.nsid},
                            {"bdev_name", ns.bdev_name},
                            {"block_size", ns.block_size},
                            {"num_blocks", ns.num_blocks}});
    }
    subsystems.push_back({{"nqn", subsystem.nqn()}, {"listeners", listeners}, {"namespaces", namespaces}});
  }
  return {{"ready", true}, {"rpc", rpc_address}, {"subsystems", subsystems}};
}

void print_ready(const Terminal& out, const nvmf::Target& target) {
  for (const nvmf::Subsystem& subsystem : target.subsystems()) {
    if (subsystem.is_discovery()) continue;
    out.line(fmt::format("{}", subsystem.nqn()));
    for (const nvmf::NamespaceInfo& ns : subsystem.namespaces()) {
      out.line(fmt::format("  namespace {}  {}  {}, blocks of {}", ns.nsid, ns.bdev_name,
                           format_bytes(ByteCount{ns.num_blocks * ns.block_size}), ns.block_size));
    }
    for (const nvme::TransportId& where : subsystem.listeners()) out.line(fmt::format("  {}", where.to_string()));
  }
}

/// Runs until the application is asked to stop. The target is the one that the configuration made.
Task<> serve(const CommandOptions& options, const Terminal& out) {
  std::string rpc_address = App::current().rpc_address();
  if (const auto state = nvmf::Target::find("nvmf_tgt")) {
    const nvmf::Target target(state, false);
    if (options.json) {
      out.line(rpc::dump_json(ready_json(target, rpc_address)));
    } else if (!options.quiet) {
      print_ready(out, target);
      if (!rpc_address.empty()) out.line(fmt::format("RPC at {}", rpc_address));
    }
    out.stream().flush();
  }
  co_await App::stop_requested();
}

ExitCode run(const CommandOptions& options, Session& session) {
  if (options.serve.devices.empty() && options.serve.config.empty() && options.rpc.empty()) {
    throw Failure::usage("nothing to serve", "give devices such as malloc:1GiB or /data/disk.img, or --config FILE");
  }
  DevicePlan devices{options.serve.config};
  const Json config = serve_config(options.serve, devices);
  AppOptions app_options = tool_app_options(session, devices);
  if (!session.global.verbose && !options.quiet) log::set_level(log::Level::info);
  app_options.json_data = rpc::dump_json(config);
  app_options.name = "spdkio serve";
  app_options.reactor_mask = options.cores;
  app_options.rpc_addr = options.rpc;
  app_options.metrics_addr = options.metrics;
  app_options.stall_limit = std::chrono::milliseconds{options.stall_limit_ms};
  const auto mode = poll_mode_from(options.poll_mode);
  if (!mode) throw Failure::usage("--poll-mode is busy, adaptive or interrupt");
  app_options.poll_mode = *mode;
  const ErrorContext doing("serving {}", fmt::join(options.serve.devices, ", "));
  App::run_result(app_options, [&] { return serve(options, session.out); });
  return ExitCode::success;
}

}  // namespace

Command add_serve_command(CLI::App& root) {
  CLI::App* app = root.add_subcommand("serve", "Serve block devices to NVMe hosts over TCP");
  auto options = std::make_shared<CommandOptions>();
  ServeOptions& serve_options = options->serve;
  app->add_option("DEVICE", serve_options.devices, "Devices to serve, as namespaces in this order")->type_name("SPEC");
  app->add_option("-c,--config", serve_options.config, "JSON configuration, as SPDK's programs read it")
      ->type_name("FILE");
  app->add_option("-l,--listen", serve_options.listen,
                  "Address to listen on: 127.0.0.1:4420 when not given; port 0: the kernel chooses")
      ->type_name("ADDRESS");
  app->add_option("--nqn", serve_options.nqn, "NQN of the subsystem")->type_name("NQN")->capture_default_str();
  app->add_flag("--each", serve_options.one_subsystem_each, "A subsystem for each device; its number follows the NQN");
  app->add_option("--host", serve_options.hosts, "NQN of a host that may connect; any when not given")
      ->type_name("NQN");
  app->add_option("--serial", serve_options.serial, "Serial number")->type_name("TEXT")->capture_default_str();
  app->add_option("-q,--queue-depth", serve_options.queue_depth, "Entries of the largest queue")
      ->type_name("N")
      ->capture_default_str();
  app->add_option("--max-queues", serve_options.max_queues, "I/O queues per host")
      ->type_name("N")
      ->capture_default_str();
  app->add_option("--in-capsule-data", serve_options.in_capsule_data, "Data that a command may bring along")
      ->type_name("SIZE")
      ->capture_default_str();
  app->add_option("--max-io-size", serve_options.max_io_size, "Longest transfer")
      ->type_name("SIZE")
      ->capture_default_str();
  app->add_option("--cores", options->cores,
                  "CPUs to serve with: 0x3, [0,2-4] or 0-3; the first allowed one when not given")
      ->type_name("CPUS");
  app->add_option("--rpc", options->rpc, "Serve JSON-RPC there: a path, or 127.0.0.1:port")->type_name("FILE");
  app->add_option("--metrics", options->metrics, "Serve metrics for Prometheus over HTTP there, such as 127.0.0.1:9420")
      ->type_name("ADDRESS");
  app->add_option("--stall-limit", options->stall_limit_ms,
                  "Count and name work that holds a thread longer than so many milliseconds; 0: nobody watches")
      ->type_name("MS")
      ->check(CLI::Range(0, 3'600'000))
      ->capture_default_str();
  app->add_option("--poll-mode", options->poll_mode, "busy, adaptive or interrupt")
      ->type_name("MODE")
      ->capture_default_str();
  app->add_flag("--json", options->json, "Say in one line of JSON when it is ready, for programs");
  app->add_flag("--quiet", options->quiet, "Say nothing but warnings");
  add_help_sections(
      *app,
      {{"A RAM disk for hosts of this machine", "spdkio serve malloc:1GiB"},
       {"An image, on every address", "spdkio serve /data/disk.img --listen 0.0.0.0:4420"},
       {"What a configuration describes, with RPC", "spdkio serve --config target.json --rpc /var/tmp/spdk.sock"},
       {"Connect a Linux host", "nvme connect -t tcp -a 127.0.0.1 -s 4420 -n nqn.2026-11.io.spdkio:target"}},
      {{"Devices", device_spec_help()}});
  return {app, [options](Session& session) { return run(*options, session); }};
}

}  // namespace spdkio::tool
