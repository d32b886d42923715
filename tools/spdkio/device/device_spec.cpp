
#include "spdkio/device/device_spec.hpp"

#include "spdkio/cli/closest.hpp"
#include "spdkio/cli/failure.hpp"
#include "spdkio/device/nvme_address.hpp"

#include <spdkio/base/byte_size.hpp>
#include <spdkio/base/error.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>

namespace spdkio::tool {
namespace {

constexpr std::uint64_t default_block_size = 512;

bool is_key(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

struct Parts {
  std::string value;
  Json params = Json::object();
};

// `value,key=value,...`. A comma that no `key=` follows belongs to the value, as in file names.
Parts split_params(std::string_view text) {
  Parts parts;
  std::vector<std::string_view> pieces;
  std::size_t start = 0;
  for (std::size_t comma = text.find(','); comma != std::string_view::npos; comma = text.find(',', comma + 1)) {
    const std::string_view rest = text.substr(comma + 1);
    if (!is_key(rest.substr(0, rest.find('=')))) continue;
    if (rest.find('=') == std::string_view::npos) continue;
    pieces.push_back(text.substr(start, comma - start));
    start = comma + 1;
  }
  pieces.push_back(text.substr(start));
  parts.value = pieces.front();
  for (std::size_t i = 1; i < pieces.size(); ++i) {
    const std::size_t equals = pieces[i].find('=');
    parts.params[std::string{pieces[i].substr(0, equals)}] = value_from_text(pieces[i].substr(equals + 1));
  }
  return parts;
}

std::uint64_t block_size_of(const Json& params) {
  if (!params.contains("block_size")) return default_block_size;
  const Json& value = params["block_size"];
  std::uint64_t size = 0;
  if (value.is_number_unsigned()) {
    size = value.get<std::uint64_t>();
  } else if (value.is_string()) {
    size = parse_byte_size(value.get<std::string>()).value;
  }
  if (size == 0)
    throw Failure::usage(fmt::format("block_size={} is not a size", value.dump()), "for example block_size=4096");
  return size;
}

Json sized_params(std::string_view text, const std::string& name) {
  Parts parts = split_params(text);
  const std::uint64_t block_size = block_size_of(parts.params);
  const std::uint64_t bytes = parse_byte_size(parts.value).value;
  if (bytes == 0 || bytes % block_size != 0) {
    throw Failure::usage(
        fmt::format("a size of {} is not a positive multiple of the block size of {} bytes", parts.value, block_size));
  }
  Json params = {{"name", name}, {"num_blocks", bytes / block_size}, {"block_size", block_size}};
  parts.params.erase("block_size");
  params.update(parts.params);
  return params;
}

Json file_params(std::string_view text, const std::string& name, std::string& path) {
  Parts parts = split_params(text);
  if (parts.value.empty()) throw Failure::usage("a file device needs a path", "for example file:/tmp/disk.img");
  path = parts.value;
  Json params = {{"name", name}, {"filename", parts.value}};
  if (parts.params.contains("block_size")) params["block_size"] = block_size_of(parts.params);
  parts.params.erase("block_size");
  params.update(parts.params);
  return params;
}

/// A namespace behind a transport id.
DeviceSpec nvme_spec(std::string_view text, const std::string& controller) {
  const Parts parts = split_params(text);
  const auto [id, nsid] = parse_nvme_address(parts.value);
  Json params = {{"name", controller}, {"trtype", nvme::to_string(id.trtype)}, {"traddr", id.traddr}};
  if (id.trtype != nvme::TransportType::pcie) {
    params["adrfam"] = id.traddr.find(':') == std::string::npos ? "IPv4" : "IPv6";
    params["trsvcid"] = id.trsvcid;
    params["subnqn"] = id.subnqn;
  }
  params.update(parts.params);
  return {.bdev_name = fmt::format("{}n{}", controller, nsid.value_or(1)),
          .call = {{"method", "bdev_nvme_attach_controller"}, {"params", std::move(params)}},
          .path = {},
          .is_new = false};
}

}  // namespace

const std::vector<DeviceKind>& device_kinds() {
  static const std::vector<DeviceKind> kinds{
      {"malloc", "SIZE", "memory of that size"},
      {"null", "SIZE", "takes writes and forgets them, reads nothing"},
      {"file", "PATH", "a file or a block device of the kernel"},
      {"bdev", "NAME", "a device of --config, also one whose name looks like a path: a volume lvs/vol"},
  };
  return kinds;
}

std::string device_spec_help() {
  std::string text;
  for (const DeviceKind& kind : device_kinds()) {
    text += fmt::format("{:<14}{}\n", fmt::format("{}:{}", kind.name, kind.value), kind.meaning);
  }
  text +=
      "/PATH, ./FILE the same as file:/PATH; without --config also FILE, when it exists\n"
      "'trtype:TCP traddr:127.0.0.1 trsvcid:4420 subnqn:nqn.2026-11.io.example:disk ns:1'\n"
      "              a namespace of an NVMe controller, with its transport id (PCIe: 'trtype:PCIe "
      "traddr:0000:01:00.0')\n"
      "NAME          the same as bdev:NAME\n"
      "Parameters of the device's create call may follow: malloc:64MiB,block_size=4096, 'trtype:... ns:1,hdgst=true'";
  return text;
}

Json value_from_text(std::string_view text) {
  // Names such as 1e3 or 007 are rarer than numbers; quotes make a string of anything.
  if (auto parsed = rpc::parse_json(text, rpc::request_limits)) return std::move(*parsed);
  return std::string{text};
}

Json& subsystem_calls(Json& config, std::string_view name) {
  Json& subsystems = config["subsystems"];
  if (!subsystems.is_array()) subsystems = Json::array();
  for (Json& subsystem : subsystems) {
    if (subsystem.is_object() && subsystem.value("subsystem", Json{}) == name) {
      Json& calls = subsystem["config"];
      if (!calls.is_array()) calls = Json::array();
      return calls;
    }
  }
  subsystems.push_back({{"subsystem", name}, {"config", Json::array()}});
  return subsystems.back()["config"];
}

DevicePlan::DevicePlan(const std::string& config_file) : config_(Json::object()) {
  if (!config_file.empty()) {
    auto loaded = rpc::load_json_file(config_file);
    if (!loaded) throw loaded.error();
    config_ = std::move(*loaded);
    has_config_file_ = true;
    const bool shaped = config_.is_object() && config_.contains("subsystems") && config_["subsystems"].is_array();
    if (!shaped) {
      throw Failure{fmt::format("{} is not a configuration: it has no list 'subsystems'", config_file),
                    R"(the shape is {"subsystems": [{"subsystem": "bdev", "config": [...]}]})"};
    }
    for (const Json& subsystem : config_["subsystems"]) {
      if (!subsystem.is_object() || !subsystem.contains("config") || !subsystem["config"].is_array()) continue;
      for (const Json& call : subsystem["config"]) {
        if (!call.is_object() || !call.contains("params") || !call["params"].is_object()) continue;
        const Json& params = call["params"];
        if (params.contains("name") && params["name"].is_string()) names_.push_back(params["name"].get<std::string>());
      }
    }
  }
}

std::string DevicePlan::free_name(std::string_view stem) {
  for (unsigned number = 0;; ++number) {
    std::string name = fmt::format("{}{}", stem, number);
    if (std::find(names_.begin(), names_.end(), name) == names_.end()) return name;
  }
}

bool DevicePlan::is_known(std::string_view name) const {
  return std::find(names_.begin(), names_.end(), name) != names_.end();
}

/// A name that can't be a device's, since nothing makes devices of other names than these.
bool DevicePlan::is_file_here(std::string_view text) const {
  std::error_code ignored;
  return !has_config_file_ && !is_known(text) && std::filesystem::exists(text.substr(0, text.find(',')), ignored);
}

DeviceSpec DevicePlan::config_device(std::string_view name) const {
  if (!has_config_file_) {
    throw Failure::usage(fmt::format("there is no device '{}' without a configuration", name),
                         "give --config FILE, or a device such as malloc:64MiB, null:1GiB, file:/path or ./file");
  }
  return {.bdev_name = std::string{name}, .call = {}, .path = {}};
}

DeviceSpec DevicePlan::add(std::string_view text) {
  if (text.empty()) throw Failure::usage("an empty device name");
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string_view value = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  DeviceSpec spec;
  std::string method;
  try {
    if (is_transport_id(text)) {
      const std::string controller = free_name("nvme");
      spec = nvme_spec(text, controller);
      names_.push_back(controller);
      subsystem_calls(config_, "bdev").push_back(spec.call);
      return spec;
    }
    if (colon != std::string_view::npos && (kind == "malloc" || kind == "null")) {
      spec.bdev_name = free_name(kind);
      spec.is_new = true;
      method = fmt::format("bdev_{}_create", kind);
      spec.call = {{"method", method}, {"params", sized_params(value, spec.bdev_name)}};
    } else if (colon != std::string_view::npos && kind == "bdev" && !is_known(text)) {
      return config_device(value);
    } else if ((colon != std::string_view::npos && kind == "file") || text.find('/') != std::string_view::npos ||
               is_file_here(text)) {
      spec.bdev_name = free_name("file");
      const std::string_view path = kind == "file" && colon != std::string_view::npos ? value : text;
      spec.call = {{"method", "bdev_aio_create"}, {"params", file_params(path, spec.bdev_name, spec.path)}};
    } else {
      if (colon != std::string_view::npos && !is_known(text)) {
        std::vector<std::string> kinds;
        for (const DeviceKind& known : device_kinds()) kinds.emplace_back(known.name);
        const auto meant = closest(kind, kinds);
        throw Failure::usage(fmt::format("'{}' names no kind of device", kind),
                             meant ? fmt::format("did you mean {}:{}?", *meant, value)
                                   : fmt::format("kinds are {}", fmt::join(kinds, ", ")));
      }
      return config_device(text);
    }
  } catch (const Error& error) {
    throw Failure::usage(fmt::format("device '{}': {}", text, error.what()));
  }
  Json& params = spec.call["params"];
  if (!params["name"].is_string()) throw Failure::usage(fmt::format("device '{}': its name is not a string", text));
  spec.bdev_name = params["name"].get<std::string>();
  if (std::find(names_.begin(), names_.end(), spec.bdev_name) != names_.end()) {
    throw Failure::usage(fmt::format("device '{}': the name {} is taken", text, spec.bdev_name));
  }
  names_.push_back(spec.bdev_name);
  subsystem_calls(config_, "bdev").push_back(spec.call);
  return spec;
}

}  // namespace spdkio::tool
