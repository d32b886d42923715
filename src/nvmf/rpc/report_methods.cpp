// nvmf_get_subsystems, nvmf_get_stats and what else only looks; and the calls that make it all again.
#include <spdkio/base/clock.hpp>
#include <spdkio/nvmf/rpc.hpp>

#include <algorithm>
#include <utility>

#include "nvmf/rpc/rpc_support.hpp"
#include "nvmf/target_state.hpp"

namespace spdkio::nvmf {
namespace {

struct GetSubsystems {
  std::string nqn;
  std::string tgt_name;
  void fields(rpc::Params& p) {
    p.optional("nqn", &nqn, "Only this one").optional("tgt_name", &tgt_name, "Name of the target");
  }
};

bool any_set(std::span<const std::uint8_t> bytes) {
  return std::ranges::any_of(bytes, [](std::uint8_t byte) { return byte != 0; });
}

Json describe(const NamespaceInfo& ns) {
  Json json = {{"nsid", ns.nsid}, {"bdev_name", ns.bdev_name}, {"name", ns.bdev_name}};
  if (any_set(ns.nguid)) json["nguid"] = to_hex(ns.nguid);
  if (any_set(ns.eui64)) json["eui64"] = to_hex(ns.eui64);
  json["uuid"] = ns.uuid.to_string();
  return json;
}

Json describe(const Subsystem& subsystem) {
  Json addresses = Json::array();
  for (const nvme::TransportId& where : subsystem.listeners()) addresses.push_back(to_json(where));
  Json hosts = Json::array();
  for (const std::string& host : subsystem.hosts()) hosts.push_back({{"nqn", host}});
  Json json = {{"nqn", subsystem.nqn()},
               {"subtype", subsystem.is_discovery() ? "Discovery" : "NVMe"},
               {"listen_addresses", addresses},
               {"allow_any_host", subsystem.any_host_allowed()},
               {"hosts", hosts}};
  if (subsystem.is_discovery()) return json;
  json["serial_number"] = subsystem.serial_number();
  json["model_number"] = subsystem.model_number();
  json["max_namespaces"] = subsystem.max_namespaces();
  json["min_cntlid"] = subsystem.min_cntlid();
  json["max_cntlid"] = subsystem.max_cntlid();
  json["namespaces"] = Json::array();
  for (const NamespaceInfo& ns : subsystem.namespaces()) json["namespaces"].push_back(describe(ns));
  return json;
}

Task<Json> get_subsystems(GetSubsystems params) {
  const Target target = co_await target_named(params.tgt_name);
  Json list = Json::array();
  if (!params.nqn.empty()) {
    list.push_back(describe(subsystem_named(target, params.nqn)));
    co_return list;
  }
  for (const Subsystem& subsystem : target.subsystems()) list.push_back(describe(subsystem));
  co_return list;
}

Task<Json> get_listeners(OneSubsystem params) {
  const Target target = co_await target_named(params.tgt_name);
  Json list = Json::array();
  for (const nvme::TransportId& where : subsystem_named(target, params.nqn).listeners()) {
    list.push_back({{"address", to_json(where)}, {"ana_states", Json::array()}});
  }
  co_return list;
}

Task<Json> get_controllers(OneSubsystem params) {
  const Target target = co_await target_named(params.tgt_name);
  Json list = Json::array();
  for (const ControllerInfo& controller : subsystem_named(target, params.nqn).controllers()) {
    list.push_back({{"cntlid", controller.cntlid},
                    {"hostnqn", controller.host.hostnqn},
                    {"hostid", controller.host.hostid.to_string()},
                    {"num_io_qpairs", controller.io_qpairs},
                    {"peer_address", controller.host.peer},
                    {"listen_address", to_json(controller.host.listener)}});
  }
  co_return list;
}

Task<Json> get_qpairs(OneSubsystem params) {
  const Target target = co_await target_named(params.tgt_name);
  const Subsystem subsystem = subsystem_named(target, params.nqn);
  const std::vector<ConnectionStats> all = co_await target.connections();
  Json list = Json::array();
  for (const ConnectionStats& one : all) {
    if (one.subnqn != subsystem.nqn()) continue;
    list.push_back({{"cntlid", one.cntlid},
                    {"qid", one.qid},
                    {"state", "active"},
                    {"hostnqn", one.hostnqn},
                    {"thread", one.thread},
                    {"peer_address", one.peer},
                    {"queue_depth", one.queue_depth},
                    {"header_digest", one.header_digest},
                    {"data_digest", one.data_digest},
                    {"commands", one.commands},
                    {"read_commands", one.read_commands},
                    {"write_commands", one.write_commands},
                    {"bytes_read", one.bytes_read},
                    {"bytes_written", one.bytes_written},
                    {"errors", one.errors},
                    {"digest_errors", one.digest_errors},
                    {"bytes_received", one.bytes_received},
                    {"bytes_sent", one.bytes_sent},
                    {"in_flight", one.in_flight}});
  }
  co_return list;
}

Task<Json> get_stats(OneTarget params) {
  const Target target = co_await target_named(params.tgt_name);
  const std::vector<PollGroupStats> groups = co_await target.poll_groups();
  Json list = Json::array();
  for (const PollGroupStats& group : groups) {
    Json json = {{"name", group.name},
                 {"admin_qpairs", group.admin_qpairs},
                 {"io_qpairs", group.io_qpairs},
                 {"current_admin_qpairs", group.current_admin_qpairs},
                 {"current_io_qpairs", group.current_io_qpairs},
                 {"pending_bdev_io", 0},
                 {"completed_nvme_io", group.completed_nvme_io},
                 {"buffer_waits", group.buffer_waits},
                 {"buffer_bytes", group.buffer_bytes},
                 {"protocol_errors", group.protocol_errors},
                 {"transports", Json::array()}};
    if (target.has_transport(nvme::TransportType::tcp)) json["transports"].push_back({{"trtype", "TCP"}});
    list.push_back(std::move(json));
  }
  co_return Json{{"tick_rate", ticks_per_second()}, {"poll_groups", list}};
}

Json call(const char* method, Json params) { return {{"method", method}, {"params", std::move(params)}}; }

void add_subsystem_calls(Json& calls, const std::string& target, const SubsystemBackend& subsystem) {
  const auto with_target = [&target](Json params) {
    if (target != default_target_name) params["tgt_name"] = target;
    return params;
  };
  if (!subsystem.is_discovery()) {
    calls.push_back(call("nvmf_create_subsystem", with_target({{"nqn", subsystem.nqn()},
                                                               {"allow_any_host", subsystem.any_host_allowed()},
                                                               {"serial_number", subsystem.serial_number()},
                                                               {"model_number", subsystem.model_number()},
                                                               {"max_namespaces", subsystem.max_namespaces()},
                                                               {"min_cntlid", subsystem.min_cntlid()},
                                                               {"max_cntlid", subsystem.max_cntlid()}})));
  }
  for (const std::string& host : subsystem.hosts()) {
    calls.push_back(call("nvmf_subsystem_add_host", with_target({{"nqn", subsystem.nqn()}, {"host", host}})));
  }
  for (const NamespaceInfo& ns : subsystem.namespaces()) {
    Json described = describe(ns);
    described.erase("name");
    calls.push_back(call("nvmf_subsystem_add_ns", with_target({{"nqn", subsystem.nqn()}, {"namespace", described}})));
  }
  for (const nvme::TransportId& where : subsystem.listeners()) {
    calls.push_back(call("nvmf_subsystem_add_listener",
                         with_target({{"nqn", subsystem.nqn()}, {"listen_address", to_json(where)}})));
  }
}

}  // namespace

Json config() {
  Json calls = Json::array();
  if (!global_settings().poll_groups_mask.empty()) {
    calls.push_back(call("nvmf_set_config", {{"poll_groups_mask", global_settings().poll_groups_mask}}));
  }
  for (const auto& target : TargetBackend::all()) {
    const std::string& name = target->name();
    if (name != default_target_name) {
      calls.push_back(call("nvmf_create_target", {{"name", name}, {"max_subsystems", target->max_subsystems()}}));
    }
    if (const TransportSettings* const settings = target->transport(nvme::TransportType::tcp)) {
      Json params = {{"trtype", "TCP"}};
      if (name != default_target_name) params["tgt_name"] = name;
      params.update({{"max_queue_depth", settings->max_queue_depth},
                     {"max_io_qpairs_per_ctrlr", settings->max_io_qpairs_per_ctrlr},
                     {"in_capsule_data_size", settings->in_capsule_data_size},
                     {"max_io_size", settings->max_io_size},
                     {"io_unit_size", settings->max_io_size},
                     {"max_aq_depth", settings->max_aq_depth},
                     {"num_shared_buffers", settings->buffer_bytes / settings->max_io_size},
                     {"c2h_success", settings->c2h_success},
                     {"sock_priority", settings->sock_priority},
                     {"acceptor_backlog", settings->backlog},
                     {"congestion_control", settings->congestion_control_text},
                     {"max_connections", settings->max_connections}});
      calls.push_back(call("nvmf_create_transport", std::move(params)));
    }
    for (const Referral& referral : target->referrals()) {
      Json params = {{"address", to_json(referral.where)},
                     {"secure_channel", referral.secure_channel},
                     {"subnqn", referral.where.subnqn}};
      if (name != default_target_name) params["tgt_name"] = name;
      calls.push_back(call("nvmf_discovery_add_referral", std::move(params)));
    }
    for (const auto& subsystem : target->list()) add_subsystem_calls(calls, name, *subsystem);
  }
  return calls;
}

void register_report_methods(rpc::MethodTable& table) {
  table.add<GetSubsystems>("nvmf_get_subsystems", "Subsystems of a target", get_subsystems);
  table.add<OneSubsystem>("nvmf_subsystem_get_listeners", "Where a subsystem listens", get_listeners);
  table.add<OneSubsystem>("nvmf_subsystem_get_controllers", "Hosts that are connected", get_controllers);
  table.add<OneSubsystem>("nvmf_subsystem_get_qpairs", "Connections of a subsystem, with their counters", get_qpairs);
  table.add<OneTarget>("nvmf_get_stats", "Counters of the poll threads", get_stats);
}

}  // namespace spdkio::nvmf
