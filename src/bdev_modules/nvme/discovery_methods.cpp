#include "bdev_modules/nvme/discovery_methods.hpp"

#include <spdkio/bdev_modules/nvme.hpp>
#include <spdkio/rpc/error.hpp>
#include <spdkio/rpc/method_table.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <utility>

#include "bdev_modules/nvme/discovery_service.hpp"
#include "bdev_modules/nvme/nvme_defaults.hpp"

namespace spdkio::bdev {
namespace nvme_disk {
namespace {

using rpc::Params;

struct StartParams {
  std::string name;
  std::string trtype;
  std::string traddr;
  std::string adrfam;
  std::string trsvcid;
  std::string hostnqn;
  bool wait_for_attach = false;
  std::uint64_t attach_timeout_ms = 0;
  ReconnectParams reconnect;

  void fields(Params& params) {
    params.required("name", &name, "Name of the service; its controllers are <name>0, <name>1 and so on");
    params.required("trtype", &trtype, "TCP or RDMA");
    params.required("traddr", &traddr, "IP address or host name");
    params.optional("adrfam", &adrfam, "IPv4 or IPv6");
    params.optional("trsvcid", &trsvcid, "Port");
    params.optional("hostnqn", &hostnqn, "How the host calls itself");
    params.optional("wait_for_attach", &wait_for_attach, "Answer when all subsystems are attached");
    params.optional("attach_timeout_ms", &attach_timeout_ms, "Give up after so long; implies wait_for_attach");
    params.check(attach_timeout_ms <= 86'400'000, "attach_timeout_ms", "must be at most a day");
    reconnect.fields(params);
  }

  nvme::TransportId transport_id() const {
    auto id = nvme::TransportId::parse(
        fmt::format("trtype:{} traddr:{}{}{}", trtype, traddr, trsvcid.empty() ? "" : " trsvcid:", trsvcid) +
        (adrfam.empty() ? "" : " adrfam:" + adrfam));
    if (id.trtype == nvme::TransportType::pcie) {
      throw rpc::RpcError::invalid_params("trtype must be a transport of NVMe over Fabrics");
    }
    if (id.trsvcid.empty()) id.trsvcid = "4420";
    return id;
  }
};

Task<Json> start(StartParams params) {
  const Defaults set = defaults();
  nvme::ControllerOptions options = set.controller_options();
  options.host_nqn = params.hostnqn;
  options.name = params.name;
  options.reconnect.give_up_after = std::chrono::milliseconds{-1};
  options.discovery = true;
  const nvme::TransportId id = params.transport_id();
  nvme::ControllerSettings service = nvme::ControllerSettings::from(id, options);
  nvme::ControllerSettings controllers = service;
  controllers.discovery = false;
  controllers.reconnect = params.reconnect.policy(set);
  const auto started = DiscoveryService::start(params.name, std::move(service), std::move(controllers));
  if (!params.wait_for_attach && params.attach_timeout_ms == 0) co_return Json(true);

  const auto limit = std::chrono::milliseconds{
      params.attach_timeout_ms != 0 ? static_cast<std::int64_t>(params.attach_timeout_ms) : 86'400'000};
  auto waiting = with_timeout(limit, started->wait_for_attach());
  const auto waited = co_await as_result(std::move(waiting));
  if (waited) co_return Json(true);
  auto stopping = started->stop();
  co_await std::move(stopping);
  throw waited.error().with_operation("bdev_nvme_start_discovery").with_device(params.name);
}

struct StopParams {
  std::string name;
  void fields(Params& params) { params.required("name", &name, "Name of the service"); }
};

Task<Json> stop(StopParams params) {
  const auto service = DiscoveryService::find(params.name);
  auto stopping = service->stop();
  co_await std::move(stopping);
  co_return Json(true);
}

Task<Json> info() {
  Json list = Json::array();
  for (const auto& service : DiscoveryService::all()) {
    auto asking = service->info();
    list.push_back(co_await std::move(asking));
  }
  co_return list;
}

}  // namespace

void register_discovery_methods(rpc::MethodTable& table) {
  table.add<StartParams>("bdev_nvme_start_discovery", "Attach what a discovery service lists, now and later", start);
  table.add<StopParams>("bdev_nvme_stop_discovery", "Detach what a discovery service brought, and follow it no more",
                        stop);
  table.add("bdev_nvme_get_discovery_info", "Discovery services that are followed", info);
}

}  // namespace nvme_disk

nlohmann::ordered_json nvme_discovery_config() {
  auto calls = nlohmann::ordered_json::array();
  for (const auto& service : nvme_disk::DiscoveryService::all()) calls.push_back(service->config());
  return calls;
}

}  // namespace spdkio::bdev
