// nvmf_create_subsystem, nvmf_subsystem_*: subsystems, listeners and hosts.
#include <spdkio/base/error.hpp>
#include <spdkio/rpc/error.hpp>

#include <fmt/format.h>

#include "nvmf/rpc/rpc_support.hpp"

namespace spdkio::nvmf {
namespace {

struct CreateSubsystem {
  std::string nqn;
  std::string tgt_name;
  std::string serial_number{SubsystemOptions{}.serial_number};
  std::string model_number{SubsystemOptions{}.model_number};
  std::uint32_t max_namespaces = SubsystemOptions{}.max_namespaces;
  bool allow_any_host = false;
  bool ana_reporting = false;
  bool passthrough = false;
  bool enable_nssr = false;
  std::uint16_t min_cntlid = 1;
  std::uint16_t max_cntlid = 0xFFEF;
  void fields(rpc::Params& p) {
    p.required("nqn", &nqn, "NQN of the subsystem")
        .optional("tgt_name", &tgt_name, "Name of the target")
        .optional("serial_number", &serial_number, "Serial number, at most 20 characters")
        .optional("model_number", &model_number, "Model number, at most 40 characters")
        .optional("max_namespaces", &max_namespaces, "Largest namespace id; 0: 32")
        .optional("allow_any_host", &allow_any_host, "Every host may connect")
        .optional("ana_reporting", &ana_reporting, "Is not supported")
        .optional("passthrough", &passthrough, "Is not supported")
        .optional("enable_nssr", &enable_nssr, "Is not supported")
        .optional("min_cntlid", &min_cntlid, "Smallest controller id")
        .optional("max_cntlid", &max_cntlid, "Largest controller id")
        .check(!ana_reporting, "ana_reporting", "is not supported")
        .check(!passthrough, "passthrough", "is not supported")
        .check(!enable_nssr, "enable_nssr", "is not supported");
  }
};

struct ListenerParams {
  std::string nqn;
  std::string tgt_name;
  ListenAddress listen_address;
  bool secure_channel = false;
  std::string ana_state;
  std::string sock_impl;
  void fields(rpc::Params& p) {
    p.required("nqn", &nqn, "NQN of the subsystem")
        .optional("tgt_name", &tgt_name, "Name of the target")
        .required("listen_address", &listen_address, "Where to listen")
        .optional("secure_channel", &secure_channel, "Is not supported")
        .optional("ana_state", &ana_state, "optimized")
        .optional("sock_impl", &sock_impl, "Has no effect")
        .check(!secure_channel, "secure_channel", "is not supported")
        .check(ana_state.empty() || ana_state == "optimized", "ana_state", "must be optimized");
  }
};

struct HostParams {
  std::string nqn;
  std::string host;
  std::string tgt_name;
  std::string psk;
  std::string dhchap_key;
  std::string dhchap_ctrlr_key;
  void fields(rpc::Params& p) {
    p.required("nqn", &nqn, "NQN of the subsystem")
        .required("host", &host, "NQN of the host")
        .optional("tgt_name", &tgt_name, "Name of the target")
        .optional("psk", &psk, "Is not supported")
        .optional("dhchap_key", &dhchap_key, "Is not supported")
        .optional("dhchap_ctrlr_key", &dhchap_ctrlr_key, "Is not supported")
        .check(psk.empty(), "psk", "is not supported")
        .check(dhchap_key.empty(), "dhchap_key", "is not supported")
        .check(dhchap_ctrlr_key.empty(), "dhchap_ctrlr_key", "is not supported");
  }
};

struct AllowAnyHost {
  std::string nqn;
  bool allow_any_host = false;
  std::string tgt_name;
  void fields(rpc::Params& p) {
    p.required("nqn", &nqn, "NQN of the subsystem")
        .required("allow_any_host", &allow_any_host, "Every host may connect, or those on the list")
        .optional("tgt_name", &tgt_name, "Name of the target");
  }
};

struct RemoveHost {
  std::string nqn;
  std::string host;
  std::string tgt_name;
  std::uint64_t timeout_ms = 0;
  void fields(rpc::Params& p) {
    p.required("nqn", &nqn, "NQN of the subsystem")
        .required("host", &host, "NQN of the host")
        .optional("tgt_name", &tgt_name, "Name of the target")
        .optional("timeout_ms", &timeout_ms, "Has no effect: the answer comes when the host is disconnected");
  }
};

Task<Json> create_subsystem(CreateSubsystem params) {
  const Target target = co_await target_named(params.tgt_name);
  SubsystemOptions options;
  options.serial_number = params.serial_number;
  options.model_number = params.model_number;
  if (params.max_namespaces != 0) options.max_namespaces = params.max_namespaces;
  options.allow_any_host = params.allow_any_host;
  options.min_cntlid = params.min_cntlid;
  options.max_cntlid = params.max_cntlid;
  auto creating = target.create_subsystem(params.nqn, options);
  const Subsystem subsystem = co_await std::move(creating);
  co_await subsystem.start();
  co_return Json(true);
}

Task<Json> delete_subsystem(OneSubsystem params) {
  const Target target = co_await target_named(params.tgt_name);
  const Subsystem subsystem = subsystem_named(target, params.nqn);
  if (subsystem.is_discovery()) {
    throw Error(std::errc::operation_not_permitted, "the discovery subsystem belongs to the target");
  }
  co_await subsystem.destroy();
  co_return Json(true);
}

Task<Json> add_listener(ListenerParams params) {
  const Target target = co_await target_named(params.tgt_name);
  const Subsystem subsystem = subsystem_named(target, params.nqn);
  const nvme::TransportId where = params.listen_address.to_transport_id();
  auto adding = subsystem.add_listener(where);
  co_await std::move(adding);
  co_return Json(true);
}

Task<Json> remove_listener(ListenerParams params) {
  const Target target = co_await target_named(params.tgt_name);
  const Subsystem subsystem = subsystem_named(target, params.nqn);
  const nvme::TransportId where = params.listen_address.to_transport_id();
  co_await subsystem.remove_listener(where);
  co_return Json(true);
}

Task<Json> add_host(HostParams params) {
  const Target target = co_await target_named(params.tgt_name);
  const Subsystem subsystem = subsystem_named(target, params.nqn);
  // As with SPDK, one that is on the list already is no mistake.
  for (const std::string& host : subsystem.hosts()) {
    if (host == params.host) co_return Json(true);
  }
  subsystem.add_host(params.host);
  co_return Json(true);
}

Task<Json> remove_host(RemoveHost params) {
  const Target target = co_await target_named(params.tgt_name);
  const Subsystem subsystem = subsystem_named(target, params.nqn);
  co_await subsystem.remove_host(params.host);
  co_return Json(true);
}

Task<Json> allow_any_host(AllowAnyHost params) {
  const Target target = co_await target_named(params.tgt_name);
  subsystem_named(target, params.nqn).allow_any_host(params.allow_any_host);
  co_return Json(true);
}

}  // namespace

void register_subsystem_methods(rpc::MethodTable& table) {
  table.add<CreateSubsystem>("nvmf_create_subsystem", "Make a subsystem and start it", create_subsystem);
  table.add<OneSubsystem>("nvmf_delete_subsystem", "Disconnect hosts and remove a subsystem", delete_subsystem);
  table.add<ListenerParams>("nvmf_subsystem_add_listener", "Listen for hosts of a subsystem", add_listener);
  table.add<ListenerParams>("nvmf_subsystem_remove_listener", "Stop listening there", remove_listener);
  table.add<HostParams>("nvmf_subsystem_add_host", "Allow a host", add_host);
  table.add<RemoveHost>("nvmf_subsystem_remove_host", "Take a host off the list, and disconnect it", remove_host);
  table.add<AllowAnyHost>("nvmf_subsystem_allow_any_host", "Allow every host, or those on the list", allow_any_host);
}

}  // namespace spdkio::nvmf
