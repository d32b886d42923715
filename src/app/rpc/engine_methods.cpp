// The RPC methods of an engine that has its own.
#include <spdkio/engine/engine.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/rpc/methods.hpp"

namespace spdkio::app {
namespace {

/// What is about this process, and not about what the engine serves.
bool stays_ours(std::string_view name) {
  static constexpr std::array<std::string_view, 4> prefixes{"rpc_", "log_", "thread_", "spdk_"};
  static constexpr std::array<std::string_view, 4> names{"framework_start_init", "framework_wait_init",
                                                         "framework_get_reactors", "save_config"};
  return std::ranges::find(names, name) != names.end() ||
         std::ranges::any_of(prefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

rpc::RpcStates states_of(const engine::MethodService::Method& method) {
  if (!method.at_startup) return rpc::RpcStates::runtime;
  return method.at_runtime ? rpc::RpcStates::always : rpc::RpcStates::startup;
}

}  // namespace

void register_engine_methods(rpc::MethodTable& table, engine::MethodService& engine) {
  rpc::MethodTable merged;
  for (const auto& method : engine.methods()) {
    if (stays_ours(method.name)) continue;
    const rpc::Method* const known = table.find(method.name);
    merged.add({.name = method.name,
                .help = known != nullptr ? known->help : "Answered by the engine",
                .states = states_of(method),
                .params = known != nullptr ? known->params : std::vector<rpc::ParamSpec>{},
                .handler = [&engine, name = method.name](const Json& params) { return engine.call(name, params); }});
  }
  for (const std::string& name : table.names()) {
    if (merged.find(name) == nullptr) merged.add(*table.find(name));
  }
  table = std::move(merged);  // in its place: methods that list others know where it is
}

}  // namespace spdkio::app
