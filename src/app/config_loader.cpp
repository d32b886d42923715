#include "app/config_loader.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/error_context.hpp>
#include <spdkio/rpc/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

namespace spdkio::app {
namespace {

/// Every subsystem of SPDK's: its files list them all, those that are not used with an empty configuration.
constexpr std::array<std::string_view, 16> known_subsystems{
    "accel",      "bdev",      "fsdev", "iobuf", "iscsi", "keyring",          "nbd",
    "nvmf",       "scheduler", "scsi",  "sock",  "ublk",  "vfio_user_target", "vhost_blk",
    "vhost_scsi", "vmd"};

[[noreturn]] void fail(const std::string& place, const std::string& what) {
  throw Error(Misuse::invalid_argument, fmt::format("{}: {}", place, what)).with_operation("configuration");
}

/// The member of that name; null when there is none.
const Json* member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

void require_object(const Json& json, const std::string& place, std::initializer_list<std::string_view> members) {
  if (!json.is_object()) fail(place, fmt::format("an object is expected, not {}", json.type_name()));
  for (const auto& item : json.items()) {
    if (std::ranges::find(members, item.key()) == members.end()) {
      fail(place, fmt::format("unknown member '{}'; known are {}", item.key(), fmt::join(members, ", ")));
    }
  }
}

std::string require_string(const Json& object, const std::string& place, const char* name) {
  const Json* value = member(object, name);
  if (value == nullptr) fail(place, fmt::format("'{}' is missing", name));
  if (!value->is_string()) fail(place, fmt::format("'{}' is to be a string, not {}", name, value->type_name()));
  return value->get<std::string>();
}

}  // namespace

Config::Config(const Json& json, const std::string& source) {
  require_object(json, source, {"subsystems"});
  const Json* subsystems = member(json, "subsystems");
  if (subsystems == nullptr) fail(source, "'subsystems' is missing");
  if (!subsystems->is_array())
    fail(source, fmt::format("'subsystems' is to be an array, not {}", subsystems->type_name()));

  for (std::size_t s = 0; s < subsystems->size(); ++s) {
    const std::string place = fmt::format("{}: subsystems[{}]", source, s);
    const Json& subsystem = (*subsystems)[s];
    require_object(subsystem, place, {"subsystem", "config"});
    const std::string name = require_string(subsystem, place, "subsystem");
    if (std::ranges::find(known_subsystems, name) == known_subsystems.end()) {
      fail(place, fmt::format("unknown subsystem '{}'; known are {}", name, fmt::join(known_subsystems, ", ")));
    }
    const Json* config = member(subsystem, "config");
    if (config == nullptr || config->is_null()) continue;
    if (!config->is_array())
      fail(place, fmt::format("'config' is to be an array or null, not {}", config->type_name()));

    for (std::size_t c = 0; c < config->size(); ++c) {
      const std::string call_place = fmt::format("{}.config[{}]", place, c);
      const Json& call = (*config)[c];
      require_object(call, call_place, {"method", "params"});
      const Json* params = member(call, "params");
      calls_.push_back({.method = require_string(call, call_place, "method"),
                        .params = params == nullptr ? Json() : *params,
                        .place = call_place});
    }
  }
}

Config Config::from_file(const std::string& path) {
  const Result<Json> json = rpc::load_json_file(path);
  if (!json) throw Error(json.error()).with_operation("configuration");
  return Config(*json, path);
}

Config Config::from_text(const std::string& text) {
  const Result<Json> json = rpc::parse_json(text, {}, rpc::JsonComments::allowed);
  if (!json) fail("json_data", json.error().message());
  return Config(*json, "json_data");
}

void Config::check_methods(const rpc::MethodTable& methods) const {
  for (const Call& call : calls_) {
    if (methods.find(call.method) != nullptr) continue;
    try {
      (void)methods.require(call.method, rpc::RpcState::runtime);  // finds the words, with the closest name
    } catch (const rpc::RpcError& error) {
      fail(call.place, error.what());
    }
  }
}

Task<> Config::run(rpc::Dispatcher& dispatcher) const {
  for (const Call& call : calls_) {
    const rpc::Method& method = *dispatcher.methods().find(call.method);
    const bool at_start_up = rpc::allows(method.states, rpc::RpcState::startup);
    if (at_start_up != (dispatcher.state() == rpc::RpcState::startup)) continue;
    const ErrorContext doing("{}: {}", call.place, call.method);
    std::optional<Error> failure;
    try {
      co_await dispatcher.call(call.method, call.params);
    } catch (const rpc::RpcError& error) {
      failure = error.to_error();
    }
    if (failure) throw Error(*failure);
  }
}

}  // namespace spdkio::app
