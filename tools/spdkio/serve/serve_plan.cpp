
#include "spdkio/serve/serve_plan.hpp"

#include "spdkio/cli/failure.hpp"

#include <spdkio/base/byte_size.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/uuid.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace spdkio::tool {
namespace {

constexpr std::string_view default_host = "127.0.0.1";
constexpr std::string_view default_port = "4420";

Json address_json(const nvme::TransportId& where) {
  Json json = {{"trtype", "TCP"}, {"traddr", where.traddr}, {"trsvcid", where.trsvcid}};
  if (where.adrfam != nvme::AddressFamily::unspecified) json["adrfam"] = to_string(where.adrfam);
  return json;
}

Json call(const char* method, Json params) { return {{"method", method}, {"params", std::move(params)}}; }

std::uint64_t size_of(const std::string& option, const std::string& text) {
  try {
    return parse_byte_size(text).value;
  } catch (const Error& error) {
    throw Failure::usage(fmt::format("{}: {}", option, error.what()));
  }
}

/// A file has the same identity after a restart, so that hosts that reconnect find their disk again: version 8 of RFC
/// 9562, made from the path.
std::string lasting_uuid(const std::string& path) {
  std::error_code ignored;
  const std::string text = std::filesystem::weakly_canonical(path, ignored).string();
  Uuid uuid;
  std::uint64_t hash = 0xCBF29CE484222325;  // FNV-1a, run on for the second half
  for (std::size_t half = 0; half < 2; ++half) {
    for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001B3;
    for (std::size_t i = 0; i < 8; ++i) uuid.bytes[half * 8 + i] = static_cast<std::uint8_t>(hash >> (8 * i));
  }
  uuid.bytes[6] = static_cast<std::uint8_t>((uuid.bytes[6] & 0x0F) | 0x80);
  uuid.bytes[8] = static_cast<std::uint8_t>((uuid.bytes[8] & 0x3F) | 0x80);
  return uuid.to_string();
}

}  // namespace

nvme::TransportId listen_address(const std::string& text) {
  try {
    if (text.find("trtype") != std::string::npos) {
      const bool has_port = text.find("trsvcid") != std::string::npos;
      const auto where = nvme::TransportId::parse(has_port ? text : fmt::format("{} trsvcid:{}", text, default_port));
      if (where.trtype != nvme::TransportType::tcp) throw Failure::usage("a target listens on TCP");
      return where;
    }
    std::string host = text;
    std::string port{default_port};
    const std::size_t colon = text.rfind(':');
    const bool bracketed = text.starts_with('[');
    const bool has_port = colon != std::string::npos && (bracketed ? colon > text.find(']') : text.find(':') == colon);
    if (has_port) {
      host = text.substr(0, colon);
      port = text.substr(colon + 1);
    }
    if (host.empty()) host = default_host;
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    return nvme::TransportId::parse(fmt::format("trtype:TCP traddr:{} trsvcid:{}", host, port));
  } catch (const Error& error) {
    throw Failure::usage(fmt::format("--listen {}: {}", text, error.what()),
                         "for example 127.0.0.1:4420, [::1]:4420, or :0 for a port that the kernel chooses");
  }
}

Json serve_config(const ServeOptions& options, DevicePlan& devices) {
  std::vector<DeviceSpec> bdevs;
  for (const std::string& text : options.devices) bdevs.push_back(devices.add(text));
  Json config = devices.config();
  if (bdevs.empty()) return config;

  std::vector<nvme::TransportId> listeners;
  for (const std::string& text : options.listen) listeners.push_back(listen_address(text));
  if (listeners.empty()) listeners.push_back(listen_address(std::string(default_host)));

  Json& calls = subsystem_calls(config, "nvmf");
  calls.push_back(
      call("nvmf_create_transport", {{"trtype", "TCP"},
                                     {"max_queue_depth", options.queue_depth},
                                     {"max_io_qpairs_per_ctrlr", options.max_queues},
                                     {"in_capsule_data_size", size_of("--in-capsule-data", options.in_capsule_data)},
                                     {"max_io_size", size_of("--max-io-size", options.max_io_size)}}));
  const std::size_t subsystems = options.one_subsystem_each ? bdevs.size() : 1;
  for (std::size_t i = 0; i < subsystems; ++i) {
    const std::string nqn = subsystems == 1 ? options.nqn : fmt::format("{}{}", options.nqn, i);
    calls.push_back(call("nvmf_create_subsystem", {{"nqn", nqn},
                                                   {"allow_any_host", options.hosts.empty()},
                                                   {"serial_number", options.serial},
                                                   {"max_namespaces", std::max<std::size_t>(32, bdevs.size())}}));
    for (const std::string& host : options.hosts) {
      calls.push_back(call("nvmf_subsystem_add_host", {{"nqn", nqn}, {"host", host}}));
    }
    for (std::size_t j = 0; j < bdevs.size(); ++j) {
      if (options.one_subsystem_each && i != j) continue;
      Json ns = {{"bdev_name", bdevs[j].bdev_name}};
      if (!bdevs[j].path.empty() && !bdevs[j].call["params"].contains("uuid")) ns["uuid"] = lasting_uuid(bdevs[j].path);
      calls.push_back(call("nvmf_subsystem_add_ns", {{"nqn", nqn}, {"namespace", ns}}));
    }
    for (const nvme::TransportId& where : listeners) {
      calls.push_back(call("nvmf_subsystem_add_listener", {{"nqn", nqn}, {"listen_address", address_json(where)}}));
    }
  }
  return config;
}

}  // namespace spdkio::tool
