// nvmf_create_target and the like: targets and transports.
#include <spdkio/base/error.hpp>
#include <spdkio/rpc/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "nvmf/rpc/rpc_support.hpp"
#include "nvmf/target_state.hpp"

namespace spdkio::nvmf {
namespace {

struct CreateTarget {
  std::string name;
  std::uint32_t max_subsystems = 1024;
  void fields(rpc::Params& p) {
    p.required("name", &name, "Name of the target")
        .optional("max_subsystems", &max_subsystems, "Most subsystems that it may have");
  }
};

struct TargetName {
  std::string name;
  void fields(rpc::Params& p) { p.required("name", &name, "Name of the target"); }
};

struct GetTransports {
  std::string tgt_name;
  std::string trtype;
  void fields(rpc::Params& p) {
    p.optional("tgt_name", &tgt_name, "Name of the target").optional("trtype", &trtype, "Only this transport");
  }
};

struct CreateTransport {
  std::string trtype;
  std::string tgt_name;
  TransportOptions options;
  std::uint32_t io_unit_size = 131072;
  std::uint32_t num_shared_buffers = 511;
  std::uint32_t buf_cache_size = UINT32_MAX;
  std::uint32_t sock_priority = 0;
  std::int32_t acceptor_backlog = 512;
  bool zcopy = false;
  bool dif_insert_or_strip = false;
  std::uint32_t control_msg_num = 32;
  std::uint32_t abort_timeout_sec = 1;
  std::uint32_t acceptor_poll_rate = 10000;
  std::uint32_t ack_timeout = 0;
  std::string congestion_control = "cubic";
  std::uint32_t max_connections = TransportOptions{}.max_connections;

  void fields(rpc::Params& p) {
    p.required("trtype", &trtype, "Transport type: TCP")
        .optional("tgt_name", &tgt_name, "Name of the target")
        .optional("max_queue_depth", &options.max_queue_depth, "Entries of the largest queue")
        .optional("max_io_qpairs_per_ctrlr", &options.max_io_qpairs_per_ctrlr, "I/O queues per controller")
        .optional("in_capsule_data_size", &options.in_capsule_data_size, "Bytes of data in a command capsule")
        .optional("max_io_size", &options.max_io_size, "Bytes of the longest transfer")
        .optional("io_unit_size", &io_unit_size, "Bytes of a shared buffer")
        .optional("max_aq_depth", &options.max_aq_depth, "Entries of an admin queue")
        .optional("num_shared_buffers", &num_shared_buffers, "Shared buffers, of each poll thread")
        .optional("buf_cache_size", &buf_cache_size, "Has no effect: buffers belong to poll threads anyway")
        .optional("zcopy", &zcopy, "Has no effect")
        .optional("c2h_success", &options.c2h_success, "Reads are answered by their data alone")
        .optional("dif_insert_or_strip", &dif_insert_or_strip, "Is not supported")
        .optional("sock_priority", &sock_priority, "SO_PRIORITY of the connections")
        .optional("acceptor_backlog", &acceptor_backlog, "Connections that wait to be accepted")
        .optional("abort_timeout_sec", &abort_timeout_sec, "Has no effect: aborts don't wait")
        .optional("acceptor_poll_rate", &acceptor_poll_rate, "Has no effect: the acceptor is woken")
        .optional("ack_timeout", &ack_timeout, "Has no effect")
        .optional("control_msg_num", &control_msg_num, "Has no effect")
        .optional("congestion_control", &congestion_control,
                  "Congestion control of the connections; empty: the system's")
        .optional("max_connections", &max_connections, "Connections of the whole target")
        .check(!dif_insert_or_strip, "dif_insert_or_strip", "is not supported");
  }
};

Task<Json> create_target(CreateTarget params) {
  const Target made = co_await make_target(params.name, params.max_subsystems);
  co_return Json(made.name());
}

Task<Json> delete_target(TargetName params) {
  const auto state = Target::find(params.name);
  if (state == nullptr) throw Error(std::errc::no_such_device, fmt::format("there is no target '{}'", params.name));
  co_await state->destroy();
  co_return Json(true);
}

Task<Json> get_targets() {
  Json list = Json::array();
  for (const auto& target : TargetBackend::all()) list.push_back(target->name());
  co_return list;
}

void require_tcp(const std::string& trtype) {
  const auto upper = [](std::string text) {
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
  };
  if (upper(trtype) == "TCP") return;
  throw rpc::RpcError::invalid_params(fmt::format("transport type '{}' is not supported; TCP is", trtype));
}

Task<Json> create_transport(CreateTransport params) {
  require_tcp(params.trtype);
  const Target target = co_await target_named(params.tgt_name);
  TransportOptions options = params.options;
  options.buffer_bytes = std::size_t{params.num_shared_buffers} * params.io_unit_size;
  options.sock_priority = static_cast<int>(params.sock_priority);
  options.backlog = static_cast<std::uint32_t>(std::max(params.acceptor_backlog, 1));
  options.congestion_control = params.congestion_control;
  options.max_connections = params.max_connections;
  const Transport transport = Transport::tcp(options);
  co_await target.add_transport(transport);
  co_return Json(true);
}

Task<Json> get_transports(GetTransports params) {
  const Target target = co_await target_named(params.tgt_name);
  Json list = Json::array();
  if (!params.trtype.empty()) require_tcp(params.trtype);
  const TransportSettings* const settings = target.state()->transport(nvme::TransportType::tcp);
  if (settings != nullptr) {
    list.push_back({{"trtype", "TCP"},
                    {"max_queue_depth", settings->max_queue_depth},
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
  } else if (!params.trtype.empty()) {
    throw Error(std::errc::no_such_device, fmt::format("the target has no {} transport", params.trtype));
  }
  co_return list;
}

struct SetConfig {
  std::string poll_groups_mask;
  std::string discovery_filter;
  void fields(rpc::Params& p) {
    p.optional("poll_groups_mask", &poll_groups_mask, "Cores whose reactors poll connections")
        .optional("discovery_filter", &discovery_filter, "match_any: hosts see all addresses")
        .check(discovery_filter.empty() || discovery_filter == "match_any", "discovery_filter", "must be match_any");
  }
};

Task<Json> set_config(SetConfig params) {
  if (!TargetBackend::all().empty()) throw Error(std::errc::operation_not_permitted, "a target exists already");
  global_settings().poll_groups_mask = params.poll_groups_mask;
  co_return Json(true);
}

struct SetMaxSubsystems {
  std::uint32_t max_subsystems = 0;
  void fields(rpc::Params& p) {
    p.required("max_subsystems", &max_subsystems, "Most subsystems of the default target")
        .check(max_subsystems >= 1, "max_subsystems", "must be at least 1");
  }
};

Task<Json> set_max_subsystems(SetMaxSubsystems params) {
  if (Target::find(default_target_name) != nullptr) {
    throw Error(std::errc::operation_not_permitted, "the default target exists already");
  }
  co_await make_target(default_target_name, params.max_subsystems);
  co_return Json(true);
}

}  // namespace

void register_target_methods(rpc::MethodTable& table) {
  constexpr auto always = rpc::RpcStates::always;
  table.add<SetConfig>("nvmf_set_config", "Settings of targets that are made later", set_config, always);
  table.add<SetMaxSubsystems>("nvmf_set_max_subsystems", "Most subsystems of the default target", set_max_subsystems);
  table.add<CreateTarget>("nvmf_create_target", "Make an NVMe-oF target", create_target);
  table.add<TargetName>("nvmf_delete_target", "Destroy a target", delete_target);
  table.add("nvmf_get_targets", "Names of the targets", get_targets);
  table.add<CreateTransport>("nvmf_create_transport", "Give a target a transport", create_transport);
  table.add<GetTransports>("nvmf_get_transports", "Transports of a target", get_transports);
}

}  // namespace spdkio::nvmf
