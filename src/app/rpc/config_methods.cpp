// framework_get_subsystems, framework_get_config, save_config: the running configuration, in a form that loads again.
#include <spdkio/bdev/service.hpp>
#include <spdkio/bdev_modules/nvme.hpp>
#include <spdkio/engine/engine.hpp>
#include <spdkio/nvmf/rpc.hpp>
#include <spdkio/rpc/error.hpp>
#include <spdkio/rpc/params.hpp>

#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>

#include "app/rpc/methods.hpp"

namespace spdkio::app {
namespace {

/// The calls that make the devices again, bases before what stands on them, since that is the order they came in.
Json bdev_config() {
  Json calls = Json::array();
  for (const auto& device : bdev::Service::current().list()) {
    Json call = device->config();
    if (call.is_null()) continue;
    calls.push_back(std::move(call));
  }
  for (Json& call : bdev::nvme_discovery_config()) calls.push_back(std::move(call));
  for (const auto& device : bdev::Service::current().list()) {
    if (!device->histogram_enabled()) continue;
    const Json params = {{"name", device->name()}, {"enable", true}};
    calls.push_back({{"method", "bdev_enable_histogram"}, {"params", params}});
  }
  Json wait = Json::object();
  wait["method"] = "bdev_wait_for_examine";
  calls.push_back(std::move(wait));
  return calls;
}

struct Subsystem {
  std::string_view name;
  Json (*config)();
};
/// In the order in which they are loaded: a target needs its block devices.
constexpr std::array<Subsystem, 2> subsystems{{{"bdev", bdev_config}, {"nvmf", nvmf::config}}};

Task<Json> get_subsystems() {
  Json out = Json::array();
  for (const Subsystem& subsystem : subsystems) {
    Json entry = Json::object();
    entry["subsystem"] = subsystem.name;
    entry["depends_on"] = Json::array();
    out.push_back(std::move(entry));
  }
  co_return out;
}

struct GetConfig {
  std::string name;
  bool with_batches = false;
  void fields(rpc::Params& p) {
    p.required("name", &name, "Name of the subsystem")
        .optional("with_batches", &with_batches, "Has no effect: there are no batches");
  }
};

Task<Json> get_config(GetConfig wanted) {
  for (const Subsystem& subsystem : subsystems) {
    if (subsystem.name == wanted.name) co_return subsystem.config();
  }
  throw rpc::RpcError(rpc::code::invalid_params, fmt::format("Subsystem '{}' not found", wanted.name));
}

/// On an engine that answers for its parts itself.
Task<Json> save_config_of(engine::MethodService& own) {
  Json list = Json::array();
  auto asking = own.call("framework_get_subsystems", Json());
  const Json names = co_await std::move(asking);
  for (const Json& subsystem : names) {
    const Json params = {{"name", subsystem.at("subsystem")}};
    auto config = own.call("framework_get_config", params);
    Json entry = Json::object();
    entry["subsystem"] = subsystem.at("subsystem");
    entry["config"] = co_await std::move(config);
    list.push_back(std::move(entry));
  }
  Json out = Json::object();
  out["subsystems"] = std::move(list);
  co_return out;
}

Task<Json> save_config() {
  if (auto* const own = engine::Engine::current().methods()) co_return co_await save_config_of(*own);
  Json list = Json::array();
  for (const Subsystem& subsystem : subsystems) {
    Json entry = Json::object();
    entry["subsystem"] = subsystem.name;
    entry["config"] = subsystem.config();
    list.push_back(std::move(entry));
  }
  Json out = Json::object();
  out["subsystems"] = std::move(list);
  co_return out;
}

}  // namespace

void register_config_methods(rpc::MethodTable& table) {
  table.add("framework_get_subsystems", "Parts that have a configuration", get_subsystems);
  table.add<GetConfig>("framework_get_config", "The running configuration of one part", get_config);
  table.add("save_config", "The whole running configuration, as a configuration file has it", save_config);
}

}  // namespace spdkio::app
