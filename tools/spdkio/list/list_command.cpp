
#include "spdkio/list/list_command.hpp"

#include "spdkio/app/tool_app.hpp"
#include "spdkio/cli/help_page.hpp"
#include "spdkio/device/device_spec.hpp"
#include "spdkio/rpc/rpc_call.hpp"
#include "spdkio/terminal/table.hpp"

#include <spdkio/app/app.hpp>
#include <spdkio/base/byte_size.hpp>
#include <spdkio/base/error_context.hpp>
#include <spdkio/bdev/bdev.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <memory>

namespace spdkio::tool {
namespace {

struct ListOptions {
  std::vector<std::string> devices;
  std::string config;
  std::string rpc;
  bool json = false;
};

std::string text_of(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_string()
             ? printable(object[key].get<std::string>())
             : std::string{};
}

std::uint64_t number_of(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_number_unsigned()
             ? object[key].get<std::uint64_t>()
             : 0;
}

Json describe(const Bdev& bdev) {
  Json types = Json::object();
  for (std::size_t i = 0; i < bdev::io_type_count; ++i) {
    const auto type = static_cast<bdev::IoType>(i);
    types[std::string{bdev::to_string(type)}] = bdev.supports(type);
  }
  const bdev::Geometry& geometry = bdev.geometry();
  Json described{{"name", bdev.name()},
                 {"aliases", bdev.aliases()},
                 {"product_name", bdev.product_name()},
                 {"block_size", bdev.block_size()},
                 {"num_blocks", bdev.num_blocks().value},
                 {"uuid", bdev.uuid().to_string()},
                 {"zoned", geometry.zone_size_blocks != 0}};
  if (geometry.zone_size_blocks != 0) {
    described["zone_size"] = geometry.zone_size_blocks;
    described["max_open_zones"] = geometry.max_open_zones;
    described["max_active_zones"] = geometry.max_active_zones;
    described["optimal_open_zones"] = geometry.optimal_open_zones;
  }
  described["supported_io_types"] = std::move(types);
  return described;
}

/// "Malloc disk"; "zone_block, 128 zones of 64 MiB".
std::string kind_of(const Json& bdev) {
  std::string kind = text_of(bdev, "product_name");
  const std::uint64_t zone_size = number_of(bdev, "zone_size");
  if (zone_size != 0) {
    kind += fmt::format(", {} zones of {}", number_of(bdev, "num_blocks") / zone_size,
                        format_bytes(ByteCount{zone_size * number_of(bdev, "block_size")}));
  }
  return kind;
}

Json devices_of_plan(const DevicePlan& devices, const Session& session) {
  AppOptions options = tool_app_options(session, devices);
  options.name = "list";
  const ErrorContext doing("making the devices of a configuration");
  return App::run_result(options, [] {
    Json list = Json::array();
    for (const Bdev& bdev : Bdev::all()) list.push_back(describe(bdev));
    return list;
  });
}

ExitCode run(const ListOptions& options, Session& session) {
  const bool local = !options.config.empty() || !options.devices.empty();
  if (local && !options.rpc.empty())
    throw Failure::usage("--rpc lists what a program has; --config and devices do not go with it");
  if (!local && options.rpc.empty()) {
    throw Failure::usage("nothing to list", "give --config FILE, --rpc SOCKET, or devices such as malloc:64MiB");
  }
  Json list;
  if (local) {
    DevicePlan devices{options.config};
    for (const std::string& text : options.devices) devices.add(text);
    list = devices_of_plan(devices, session);
  } else {
    auto client = connect_rpc(options.rpc, std::chrono::seconds{60});
    list = call_rpc(client, "bdev_get_bdevs");
  }
  if (options.json) {
    session.out.line(rpc::dump_json(list, 2));
  } else {
    print_bdev_table(session.out, list);
  }
  return ExitCode::success;
}

}  // namespace

void print_bdev_table(const Terminal& terminal, const Json& bdevs) {
  Table table{
      {{"NAME"}, {"SIZE", Align::right}, {"BLOCK", Align::right}, {"KIND"}, {"CLAIMED"}, {"UUID"}, {"ALIASES"}}};
  if (bdevs.is_array()) {
    for (const Json& bdev : bdevs) {
      const std::uint64_t block_size = number_of(bdev, "block_size");
      const bool claimed = bdev.is_object() && bdev.value("claimed", Json{}) == true;
      std::string claim = text_of(bdev, "claim_type");
      if (claimed && claim.empty()) claim = "yes";
      const std::string uuid = text_of(bdev, "uuid");
      std::vector<std::string> aliases;
      if (bdev.is_object() && bdev.contains("aliases") && bdev["aliases"].is_array()) {
        for (const Json& alias : bdev["aliases"]) {
          // Every device has its UUID as an alias too.
          if (alias.is_string() && alias != uuid) aliases.push_back(printable(alias.get<std::string>()));
        }
      }
      table.add_row({{text_of(bdev, "name"), Tone::strong},
                     format_bytes(ByteCount{number_of(bdev, "num_blocks") * block_size}),
                     fmt::format("{}", block_size),
                     kind_of(bdev),
                     claimed ? claim : "",
                     {uuid, Tone::dim},
                     fmt::format("{}", fmt::join(aliases, " "))});
    }
  }
  if (table.empty()) {
    terminal.line("no block devices");
  } else {
    table.print(terminal);
  }
}

Command add_list_command(CLI::App& root) {
  CLI::App* app = root.add_subcommand("list", "List block devices of a configuration or of a running program");
  auto options = std::make_shared<ListOptions>();
  app->add_option("DEVICE", options->devices, "Devices to make and show")->type_name("SPEC");
  app->add_option("-c,--config", options->config, "JSON configuration that makes devices")->type_name("FILE");
  app->add_option("--rpc", options->rpc, "Socket of a running program: a path, or 127.0.0.1:port")->type_name("FILE");
  app->add_flag("--json", options->json, "Write JSON for programs");
  add_help_sections(*app,
                    {{"What a configuration makes", "spdkio list --config devices.json"},
                     {"What a running program has", "spdkio list --rpc /var/tmp/spdk.sock"},
                     {"Size and block size of an image", "spdkio list /data/disk.img"}},
                    {{"Devices", device_spec_help()}});
  return {app, [options](Session& session) { return run(*options, session); }};
}

}  // namespace spdkio::tool
