
#include "spdkio/copy/copy_command.hpp"

#include "spdkio/app/tool_app.hpp"
#include "spdkio/cli/help_page.hpp"
#include "spdkio/copy/copy_run.hpp"
#include "spdkio/copy/destination_file.hpp"
#include "spdkio/device/device_spec.hpp"

#include <spdkio/base/byte_size.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/bdev/bdev_desc.hpp>

#include <fmt/format.h>

#include <memory>

namespace spdkio::tool {
namespace {

struct CopyOptions {
  std::string source;
  std::string destination;
  std::string config;
  std::string io_size = "1MiB";
  std::uint32_t queue_depth = 8;
  std::string cores;
  bool verify = false;
  bool no_holes = false;
  bool overwrite = false;
  bool json = false;
};

Task<std::uint64_t> device_bytes(std::string name) {
  BdevDesc device = co_await BdevDesc::open(name, Access::read_only);
  const std::uint64_t bytes = device.size().value;
  co_await device.close();
  co_return bytes;
}

// Devices of a configuration have to be opened to learn their size; those of the command line say it.
std::uint64_t source_bytes(const CopyOptions& options, const Session& session) {
  DevicePlan devices{options.config};
  const DeviceSpec spec = devices.add(options.source);
  if (!spec.call.is_null() && spec.call["params"].contains("num_blocks")) {
    return spec.call["params"]["num_blocks"].get<std::uint64_t>() *
           spec.call["params"]["block_size"].get<std::uint64_t>();
  }
  return App::run_result(tool_app_options(session, devices), [&] { return device_bytes(spec.bdev_name); });
}

void print(const Terminal& out, const CopyOutcome& outcome) {
  std::string line = fmt::format("copied {} in {:.2f} s", format_bytes(ByteCount{outcome.total_bytes}), outcome.copy_s);
  if (outcome.copy_s > 0)
    line += fmt::format(", {}", format_rate(static_cast<double>(outcome.total_bytes) / outcome.copy_s));
  line += fmt::format(": {} of data, {} of holes", format_bytes(ByteCount{outcome.data_bytes}),
                      format_bytes(ByteCount{outcome.hole_bytes}));
  out.line(line);
  out.line(fmt::format("crc32c  source       {:08x}", outcome.source_crc));
  if (outcome.destination_crc) {
    const bool same = !outcome.first_difference;
    out.line(fmt::format("        destination  {:08x}  {}", *outcome.destination_crc,
                         out.paint(same ? Tone::ok : Tone::bad, same ? "the same, read back" : "differs")));
  }
}

Json to_json(const CopyOutcome& outcome) {
  Json json = {{"schema", "spdkio.copy-result"},
               {"schema_version", 1},
               {"total_bytes", outcome.total_bytes},
               {"data_bytes", outcome.data_bytes},
               {"hole_bytes", outcome.hole_bytes},
               {"copy_s", outcome.copy_s},
               {"source_crc32c", fmt::format("{:08x}", outcome.source_crc)}};
  if (outcome.destination_crc) {
    json["verify_s"] = outcome.verify_s;
    json["destination_crc32c"] = fmt::format("{:08x}", *outcome.destination_crc);
    json["same"] = !outcome.first_difference;
  }
  return json;
}

ExitCode run(const CopyOptions& options, Session& session) {
  CopyPlan plan{.queue_depth = options.queue_depth, .keep_holes = !options.no_holes, .verify = options.verify};
  if (plan.queue_depth == 0 || plan.queue_depth > 1024) throw Failure::usage("--queue-depth is not between 1 and 1024");
  try {
    plan.io_bytes = parse_byte_size(options.io_size).value;
  } catch (const Error& error) {
    throw Failure::usage(fmt::format("--io-size: {}", error.what()));
  }
  if (plan.io_bytes == 0 || plan.io_bytes > (std::uint64_t{1} << 28))
    throw Failure::usage("--io-size is not between 1 byte and 256 MiB");

  DevicePlan devices{options.config};
  const DeviceSpec source = devices.add(options.source);
  const DeviceSpec destination = devices.add(options.destination);
  if (source.bdev_name == destination.bdev_name) throw Failure::usage("source and destination are the same device");
  plan.source = source.bdev_name;
  plan.destination = destination.bdev_name;
  if (!destination.path.empty()) {
    const DestinationFile file{destination.path, source.path, options.overwrite};
    plan.destination_is_zero = file.make_ready([&] { return source_bytes(options, session); });
  } else {
    plan.destination_is_zero = destination.is_new;
  }

  AppOptions app_options = tool_app_options(session, devices);
  app_options.name = "copy";
  app_options.reactor_mask = options.cores;
  const CopyOutcome outcome = App::run_result(app_options, [&](App& app) { return run_copy(app, plan, session.err); });
  if (options.json) {
    session.out.line(rpc::dump_json(to_json(outcome), 2));
  } else {
    print(session.out, outcome);
  }
  if (outcome.first_difference) {
    throw Failure{fmt::format("the destination differs from the source, first in the {} at byte {}",
                              format_bytes(ByteCount{plan.io_bytes}), *outcome.first_difference)};
  }
  return ExitCode::success;
}

}  // namespace

Command add_copy_command(CLI::App& root) {
  CLI::App* app = root.add_subcommand("copy", "Copy between block devices and files, holes kept, with checksums");
  auto options = std::make_shared<CopyOptions>();
  app->add_option("SOURCE", options->source, "Device to read; see Devices below")->required()->type_name("SPEC");
  app->add_option("DESTINATION", options->destination, "Device to write; a file that does not exist is made")
      ->required()
      ->type_name("SPEC");
  app->add_flag("--verify", options->verify, "Read the destination back and compare checksums");
  app->add_flag("--overwrite", options->overwrite,
                "Allow a destination file that holds something, or a block device of the kernel");
  app->add_flag("--no-holes", options->no_holes, "Write zeroes as data instead of leaving holes");
  app->add_option("-s,--io-size", options->io_size, "Size of a piece")->type_name("SIZE")->capture_default_str();
  app->add_option("-q,--queue-depth", options->queue_depth, "Pieces in flight per core")
      ->type_name("N")
      ->capture_default_str();
  app->add_option("--cores", options->cores,
                  "CPUs to copy with: 0x3, [0,2-4] or 0-3; the first allowed one when not given")
      ->type_name("CPUS");
  app->add_option("-c,--config", options->config, "JSON configuration that makes devices")->type_name("FILE");
  app->add_flag("--json", options->json, "Write the result as JSON instead of text");
  add_help_sections(
      *app,
      {{"An image onto another file, four cores, checked", "spdkio copy disk.img file:copy.img --cores 0-3 --verify"},
       {"A file onto a block device", "sudo spdkio copy disk.img /dev/sdX --overwrite --verify"},
       {"Only the checksum of a file", "spdkio copy disk.img null:100GiB"},
       {"Out of a device of a configuration", "spdkio copy -c devices.json Raid0 /backup/raid0.img"}},
      {{"Devices", device_spec_help()},
       {"Exit status",
        "0  copied, and equal if --verify was given\n"
        "1  reading, writing or comparing failed, or the copy was interrupted\n"
        "2  the command line cannot be right"}});
  return {app, [options](Session& session) { return run(*options, session); }};
}

}  // namespace spdkio::tool
