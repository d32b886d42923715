#include "spdkio/blob/blob_command.hpp"

#include "spdkio/app/tool_app.hpp"
#include "spdkio/blob/blob_copy.hpp"
#include "spdkio/blob/blob_store_actions.hpp"
#include "spdkio/blob/file_end.hpp"
#include "spdkio/cli/help_page.hpp"
#include "spdkio/copy/destination_file.hpp"
#include "spdkio/device/device_spec.hpp"
#include "spdkio/terminal/table.hpp"

#include <spdkio/base/byte_size.hpp>
#include <spdkio/base/error_context.hpp>

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace spdkio::tool {
namespace {

struct BlobCommandOptions {
  std::string action;
  std::string store;
  std::vector<std::string> words;
  std::string config;
  std::string cluster_size = "1MiB";
  std::uint32_t metadata_pages = 0;
  std::string type;
  bool overwrite = false;
  bool json = false;
};

/// Of files and the devices that they are copied to.
constexpr std::uint64_t smallest_block = 512;
constexpr std::uint64_t largest_block = 4096;

/// "blob:0x100000001"; nothing for a word that names something else, "blob:new" for a blob that is made.
struct BlobWord {
  std::optional<blob::BlobId> id;
};

blob::BlobId blob_id(const std::string& text) {
  const auto id = blob::parse_blob_id(text);
  if (!id) throw Failure::usage(fmt::format("'{}' is no blob id", text), "'spdkio blob ls' shows them: 0x100000001");
  return *id;
}

std::optional<BlobWord> blob_word(const std::string& text) {
  constexpr std::string_view prefix = "blob:";
  if (!text.starts_with(prefix)) return std::nullopt;
  const std::string rest = text.substr(prefix.size());
  if (rest == "new") return BlobWord{};
  return BlobWord{blob_id(rest)};
}

std::string size_of(const Json& object, const char* key) {
  return format_bytes(ByteCount{object[key].get<std::uint64_t>()});
}

void print_store(const Terminal& out, const Json& store) {
  out.line(fmt::format("{} free of {}, clusters of {}{}{}", size_of(store, "free_bytes"), size_of(store, "total_bytes"),
                       size_of(store, "cluster_size"),
                       store["type"] == "" ? "" : ", type " + printable(store["type"].get<std::string>()),
                       store.value("recovered", false) ? ", recovered" : ""));
}

void print_damaged(const Terminal& out, const Json& damaged) {
  for (const Json& blob : damaged) {
    out.line(fmt::format("{} {}: {}", out.paint(Tone::bad, "damaged"), blob["id"].get<std::string>(),
                         blob["reason"].get<std::string>()));
  }
}

void print_blobs(const Terminal& out, const Json& store) {
  print_store(out, store);
  Table table{{{"BLOB"}, {"SIZE", Align::right}, {"USED", Align::right}, {"KIND"}, {"PARENT"}, {"XATTRS"}}};
  for (const Json& blob : store["blobs"]) {
    std::string kind = blob["thin"] == true ? "thin" : "thick";
    if (blob["read_only"] == true) kind += ", read-only";
    if (store.value("super_blob", Json{}) == blob["id"]) kind += ", super";
    std::string parent;
    if (blob.contains("parent")) parent = blob["parent"].get<std::string>();
    if (blob.contains("external_snapshot")) parent = printable(blob["external_snapshot"].get<std::string>());
    std::string xattrs;
    for (const auto& [name, value] : blob["xattrs"].items()) {
      const bool is_length = name == "length" && blob.contains("length");
      const std::string shown = is_length ? blob["length"].dump() : value.get<std::string>();
      xattrs += fmt::format("{}{}={}", xattrs.empty() ? "" : " ", name, shown);
    }
    table.add_row({{blob["id"].get<std::string>(), Tone::strong},
                   size_of(blob, "bytes"),
                   size_of(blob, "allocated_bytes"),
                   kind,
                   parent,
                   {xattrs, Tone::dim}});
  }
  if (table.empty()) {
    out.line("no blobs");
  } else {
    table.print(out);
  }
  print_damaged(out, store["damaged"]);
}

void require_words(const BlobCommandOptions& options, std::size_t least, std::size_t most, const char* usage) {
  if (options.words.size() >= least && options.words.size() <= most) return;
  throw Failure::usage(fmt::format("usage: spdkio blob {}", usage));
}

/// The volumes of a store would hold it: devices are not examined.
AppOptions app_options(const Session& session, const DevicePlan& devices) {
  Json config = devices.config();
  Json& calls = subsystem_calls(config, "bdev");
  const Json no_examine = {{"method", "bdev_set_options"}, {"params", {{"bdev_auto_examine", false}}}};
  calls.insert(calls.begin(), no_examine);
  AppOptions options = tool_app_options(session, devices);
  options.json_data = rpc::dump_json(config);
  options.name = "blob";
  return options;
}

ExitCode create(const BlobCommandOptions& options, Session& session) {
  require_words(options, 0, 0, "create STORE");
  NewBlobStore wanted{.metadata_pages = options.metadata_pages, .type = options.type, .overwrite = options.overwrite};
  try {
    const std::uint64_t bytes = parse_byte_size(options.cluster_size).value;
    if (bytes > UINT32_MAX) throw Failure::usage("--cluster-size is too large");
    wanted.cluster_size = static_cast<std::uint32_t>(bytes);
  } catch (const Error& error) {
    throw Failure::usage(fmt::format("--cluster-size: {}", error.what()));
  }
  DevicePlan devices{options.config};
  const std::string store = devices.add(options.store).bdev_name;
  const Json made = App::run_result(app_options(session, devices), [&] { return create_blob_store(store, wanted); });
  if (options.json) {
    session.out.line(rpc::dump_json(made, 2));
  } else {
    print_store(session.out, made);
  }
  return ExitCode::success;
}

ExitCode show(const BlobCommandOptions& options, Session& session) {
  const bool dump = options.action == "dump";
  require_words(options, 0, dump ? 1 : 0, dump ? "dump STORE [BLOB]" : "ls STORE");
  std::optional<blob::BlobId> id;
  if (!options.words.empty()) id = blob_id(options.words.front());
  DevicePlan devices{options.config};
  const std::string store = devices.add(options.store).bdev_name;
  const Json found = App::run_result(app_options(session, devices), [&] { return show_blob_store(store, id); });
  if (options.json || dump) {
    session.out.line(rpc::dump_json(found, 2));
  } else {
    print_blobs(session.out, found);
  }
  return ExitCode::success;
}

ExitCode check(const BlobCommandOptions& options, Session& session) {
  const bool repair = options.action == "repair";
  require_words(options, 0, 0, repair ? "repair STORE" : "fsck STORE");
  DevicePlan devices{options.config};
  const std::string store = devices.add(options.store).bdev_name;
  const Json found = App::run_result(app_options(session, devices), [&] { return check_blob_store(store, repair); });
  const std::size_t damaged = found["damaged"].size();
  if (options.json) {
    session.out.line(rpc::dump_json(found, 2));
  } else {
    print_store(session.out, found);
    print_damaged(session.out, found["damaged"]);
    for (const Json& blob : found.value("deleted", Json::array())) {
      session.out.line(fmt::format("deleted {}: {}", blob["id"].get<std::string>(), blob["reason"].get<std::string>()));
    }
    session.out.line(fmt::format("{} blobs are good, {} damaged", found["blobs"].get<std::uint64_t>(), damaged));
  }
  if (damaged != 0) throw Failure{"the store is damaged", "'spdkio blob repair' deletes what is damaged"};
  return ExitCode::success;
}

ExitCode copy(const BlobCommandOptions& options, Session& session) {
  constexpr const char* usage =
      "cp STORE SOURCE DESTINATION, one of which is blob:ID or, for the destination, blob:new";
  require_words(options, 2, 2, usage);
  const auto from = blob_word(options.words[0]);
  const auto to = blob_word(options.words[1]);
  if (from.has_value() == to.has_value() || (from && !from->id)) {
    throw Failure::usage(fmt::format("usage: spdkio blob {}", usage));
  }
  DevicePlan devices{options.config};
  const DeviceSpec store_spec = devices.add(options.store);
  const std::string& store = store_spec.bdev_name;
  const DevicePlan store_only = devices;
  const std::string& word = options.words[from ? 1 : 0];
  const std::string path = DevicePlan{options.config}.add(word).path;
  BlobCopy wanted{.device = {}, .id = from ? from->id : to->id, .into_store = to.has_value(), .tail = {}};
  std::optional<std::uint64_t> cut;
  const auto bytes_to_store = to ? file_bytes(path) : std::nullopt;
  if (bytes_to_store && (*bytes_to_store < smallest_block || *bytes_to_store % smallest_block != 0)) {
    wanted.tail = read_end(path, *bytes_to_store % smallest_block);
    if (*bytes_to_store >= smallest_block) {
      const std::string whole_blocks = fmt::format(",block_size={},round_down=true,rest_expected=true", smallest_block);
      wanted.device = devices.add(word + whole_blocks).bdev_name;
    }
  } else {
    wanted.device = devices.add(word).bdev_name;
  }
  if (from && !path.empty()) {
    // The file is made of whole blocks, and cut when they are written.
    const auto bytes = [&] {
      cut = App::run_result(app_options(session, store_only), [&] { return blob_bytes(store, *from->id); });
      return (*cut + largest_block - 1) / largest_block * largest_block;
    };
    if (!DestinationFile{path, store_spec.path, options.overwrite}.make_ready(bytes)) cut.reset();
    if (cut == 0) wanted.device.clear();
  }
  const DevicePlan& needed = wanted.device.empty() ? store_only : devices;
  const BlobCopyOutcome outcome = App::run_result(app_options(session, needed),
                                                  [&](App& app) { return copy_blob(app, store, wanted, session.err); });
  if (cut) cut_file(path, *cut);
  if (options.json) {
    const Json result = {
        {"blob", blob::to_string(outcome.id)}, {"bytes", outcome.bytes}, {"hole_bytes", outcome.hole_bytes}};
    session.out.line(rpc::dump_json(result, 2));
  } else {
    session.out.line(fmt::format("{}: copied {}, {} of them holes", blob::to_string(outcome.id),
                                 format_bytes(ByteCount{outcome.bytes}), format_bytes(ByteCount{outcome.hole_bytes})));
  }
  return ExitCode::success;
}

ExitCode run(const BlobCommandOptions& options, Session& session) {
  const ErrorContext doing("spdkio blob {} {}", options.action, options.store);
  if (options.action == "create") return create(options, session);
  if (options.action == "cp") return copy(options, session);
  if (options.action == "fsck" || options.action == "repair") return check(options, session);
  return show(options, session);
}

}  // namespace

Command add_blob_command(CLI::App& root) {
  CLI::App* app = root.add_subcommand("blob", "Look into, fill and repair Blobstores, SPDK's among them");
  auto options = std::make_shared<BlobCommandOptions>();
  app->add_option("ACTION", options->action, "What to do")
      ->required()
      ->check(CLI::IsMember({"create", "ls", "cp", "dump", "fsck", "repair"}));
  app->add_option("STORE", options->store, "Device that the store is on; see Devices below")
      ->required()
      ->type_name("SPEC");
  app->add_option("ARGUMENT", options->words, "Source and destination, or a blob")->type_name("SPEC");
  app->add_option("--cluster-size", options->cluster_size, "create: what space is handed out in")
      ->type_name("SIZE")
      ->capture_default_str();
  app->add_option("--metadata-pages", options->metadata_pages, "create: room for metadata; 0: one page per cluster")
      ->type_name("N")
      ->capture_default_str();
  app->add_option("--type", options->type, "create: which application the store belongs to")->type_name("TEXT");
  app->add_flag(
      "--overwrite", options->overwrite,
      "create: even where there is a store; cp: a file that holds something, or a block device of the kernel");
  app->add_option("-c,--config", options->config, "JSON configuration that makes devices")->type_name("FILE");
  app->add_flag("--json", options->json, "Write the result as JSON instead of text");
  add_help_sections(*app,
                    {{"A new store in an image", "spdkio blob create disk.img --cluster-size 256KiB"},
                     {"What is in a store", "spdkio blob ls disk.img"},
                     {"A file into a new blob", "spdkio blob cp disk.img /data/system.raw blob:new"},
                     {"A blob into a file", "spdkio blob cp disk.img blob:0x100000001 /backup/system.raw"},
                     {"Check all metadata", "spdkio blob fsck disk.img"}},
                    {{"Actions",
                      "create  make a store; what the device holds is lost\n"
                      "ls      the store and its blobs\n"
                      "cp      copy between a blob and a device or file. A blob is a whole number of clusters; how "
                      "much of it counts\n"
                      "        is kept in its xattr 'length', and a file that it is copied to gets that many bytes\n"
                      "dump    all that is known, or of one blob also where its data lies, as JSON\n"
                      "fsck    look at all metadata; what a power cut left half done is settled, as by every load\n"
                      "repair  the same, and delete blobs whose metadata is damaged"},
                     {"Devices", device_spec_help()},
                     {"Exit status",
                      "0  done, and nothing is damaged\n"
                      "1  it failed, or fsck found damage\n"
                      "2  the command line cannot be right"}});
  return {app, [options](Session& session) { return run(*options, session); }};
}

}  // namespace spdkio::tool
