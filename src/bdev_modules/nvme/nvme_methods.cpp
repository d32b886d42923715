// The bdev_nvme_* methods.
#include <spdkio/base/base64.hpp>
#include <spdkio/bdev_modules/nvme.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/rpc/error.hpp>
#include <spdkio/rpc/method_table.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/with_timeout.hpp>
#include <spdkio/spec/log_page.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "bdev_modules/nvme/attached_controller.hpp"
#include "bdev_modules/nvme/discovery_methods.hpp"
#include "bdev_modules/nvme/nvme_defaults.hpp"
#include "bdev_modules/nvme/transport_json.hpp"

namespace spdkio::bdev {
namespace {

using nvme_disk::AttachedController;
using rpc::Params;
using std::chrono::milliseconds;

/// Takes part in the defaults: options that are not given keep what was set before.
struct SetOptions : nvme_disk::Defaults {
  SetOptions() : Defaults(nvme_disk::defaults()) {}
  void fields(Params& params) {
    Defaults::fields(params);
    // Part of configurations that SPDK saved; they tune what this library does in another way.
    for (const char* name : {"arbitration_burst",
                             "low_priority_weight",
                             "medium_priority_weight",
                             "high_priority_weight",
                             "nvme_adminq_poll_period_us",
                             "nvme_ioq_poll_period_us",
                             "io_queue_requests",
                             "delay_cmd_submit",
                             "transport_retry_count",
                             "transport_ack_timeout",
                             "disable_auto_failback",
                             "generate_uuids",
                             "nvme_error_stat",
                             "rdma_srq_size",
                             "io_path_stat",
                             "allow_accel_sequence",
                             "rdma_max_cq_size",
                             "rdma_cm_event_timeout_ms",
                             "rdma_umr_per_io",
                             "dhchap_digests",
                             "dhchap_dhgroups",
                             "tcp_connect_timeout_ms",
                             "enable_flush",
                             "poll_group_requests"}) {
      params.optional(name, &ignored, "Accepted for SPDK's sake, without effect");
    }
  }
  Json ignored;
};

struct HotplugParams {
  bool enable = false;
  std::uint64_t period_us = 0;
  void fields(Params& params) {
    params.required("enable", &enable, "Attach PCIe controllers that appear");
    params.check(!enable, "enable", "must be false: controllers are attached by name only");
    params.optional("period_us", &period_us, "Accepted for SPDK's sake, without effect");
  }
};

struct AttachParams {
  std::string name;
  std::string trtype;
  std::string traddr;
  std::string adrfam;
  std::string trsvcid;
  std::string subnqn;
  std::string hostnqn;
  std::string hostaddr;
  std::string hostsvcid;
  std::string priority;
  bool hdgst = false;
  bool ddgst = false;
  bool prchk_reftag = false;
  bool prchk_guard = false;
  std::uint64_t fabrics_connect_timeout_us = 0;
  std::uint32_t num_io_queues = 64;
  nvme_disk::ReconnectParams reconnect;
  std::string multipath = "disable";
  Uuid hostid{};

  void fields(Params& params) {
    params.required("name", &name, "Name of the controller; its bdevs are <name>n<nsid>");
    params.required("trtype", &trtype, "PCIe, TCP or RDMA");
    params.required("traddr", &traddr, "PCI address, IP address or host name");
    params.optional("adrfam", &adrfam, "IPv4 or IPv6");
    params.optional("trsvcid", &trsvcid, "Port");
    params.optional("subnqn", &subnqn, "NQN of the subsystem");
    params.optional("hostnqn", &hostnqn, "How the host calls itself");
    params.optional("hostid", &hostid, "Host identifier");
    params.optional("hostaddr", &hostaddr, "Own address to connect from");
    params.optional("hostsvcid", &hostsvcid, "Own port to connect from");
    params.optional("priority", &priority, "Socket priority");
    params.optional("hdgst", &hdgst, "TCP header digests");
    params.optional("ddgst", &ddgst, "TCP data digests");
    params.optional("prchk_reftag", &prchk_reftag, "Let the controller check reference tags");
    params.check(!prchk_reftag, "prchk_reftag", "is not supported");
    params.optional("prchk_guard", &prchk_guard, "Let the controller check guards");
    params.check(!prchk_guard, "prchk_guard", "is not supported");
    params.optional("fabrics_connect_timeout_us", &fabrics_connect_timeout_us, "For connecting; 0: 15 seconds");
    params.optional("num_io_queues", &num_io_queues, "I/O queues to ask for");
    params.check(num_io_queues >= 1 && num_io_queues <= 65535, "num_io_queues", "must be 1 to 65535");
    reconnect.fields(params);
    params.optional("multipath", &multipath, "disable; several paths to one namespace are not supported");
    params.check(multipath == "disable", "multipath", "must be disable: other modes are not supported");
  }

  nvme::TransportId transport_id() const {
    if (same_type("PCIe")) return nvme::TransportId::pcie(traddr);
    nvme::TransportId id = nvme::TransportId::parse(
        fmt::format("trtype:{} traddr:{}{}{}", trtype, traddr, trsvcid.empty() ? "" : " trsvcid:", trsvcid) +
        (adrfam.empty() ? "" : " adrfam:" + adrfam));
    id.subnqn = subnqn;
    id.hostaddr = hostaddr;
    id.hostsvcid = hostsvcid;
    if (!priority.empty()) id.priority = nvme::TransportId::parse(id.to_string() + " priority:" + priority).priority;
    id.check();
    return id;
  }

 private:
  bool same_type(std::string_view wanted) const {
    return std::ranges::equal(trtype, wanted, [](char a, char b) { return (a | 0x20) == (b | 0x20); });
  }
};

Task<Json> attach(AttachParams params) {
  const nvme_disk::Defaults set = nvme_disk::defaults();
  nvme::ControllerOptions options = set.controller_options();
  options.name = params.name;
  options.host_nqn = params.hostnqn;
  options.host_id = params.hostid;
  options.header_digest = params.hdgst;
  options.data_digest = params.ddgst;
  options.num_io_queues = static_cast<std::uint16_t>(params.num_io_queues);
  if (params.fabrics_connect_timeout_us != 0) {
    options.connect_timeout = nvme_disk::ms_of(params.fabrics_connect_timeout_us);
  }
  options.reconnect = params.reconnect.policy(set);
  auto attaching = attach_nvme(params.name, params.transport_id(), options);
  const std::vector<std::string> names = co_await std::move(attaching);
  co_return Json(names);
}

struct NameParams {
  std::string name;
  void fields(Params& params) { params.required("name", &name, "Name of the controller"); }
};

struct DetachParams {
  std::string name;
  std::string trtype;
  std::string traddr;
  std::string adrfam;
  std::string trsvcid;
  std::string subnqn;
  void fields(Params& params) {
    params.required("name", &name, "Name of the controller");
    params.optional("trtype", &trtype, "Only if this is its transport");
    params.optional("traddr", &traddr, "Only if this is its address");
    params.optional("adrfam", &adrfam, "Only if this is its address family");
    params.optional("trsvcid", &trsvcid, "Only if this is its port");
    params.optional("subnqn", &subnqn, "Only if this is its subsystem");
  }
};

Task<Json> detach(DetachParams params) {
  const auto controller = AttachedController::find(params.name);
  const nvme::TransportId& id = controller->core()->settings().id;
  const auto other = [](const std::string& wanted, std::string_view is) { return !wanted.empty() && wanted != is; };
  if (other(params.traddr, id.traddr) || other(params.trsvcid, id.trsvcid) || other(params.subnqn, id.subnqn)) {
    throw Error(std::errc::no_such_device, "it has no such path").with_device(params.name);
  }
  auto detaching = detach_nvme(params.name);
  co_await std::move(detaching);
  co_return Json(true);
}

Task<Json> reset(NameParams params) {
  auto resetting = reset_nvme(params.name);
  co_await std::move(resetting);
  co_return Json(true);
}

/// As SPDK names them.
std::string_view state_name(nvme::ControllerState state) {
  switch (state) {
    case nvme::ControllerState::ready: return "enabled";
    case nvme::ControllerState::failed: return "failed";
    case nvme::ControllerState::reconnecting: return "resetting";
    default: return "disabled";
  }
}

Json describe(const AttachedController& controller) {
  const auto& core = *controller.core();
  const nvme::TransportId& id = core.settings().id;
  Json trid = nvme_disk::transport_json(id);
  Json host{{"nqn", core.settings().host_nqn}, {"addr", id.hostaddr}, {"svcid", id.hostsvcid}};
  return {{"name", controller.name()},
          {"ctrlrs", Json::array({Json{{"state", state_name(core.state())},
                                       {"trid", std::move(trid)},
                                       {"cntlid", core.controller_id()},
                                       {"host", std::move(host)}}})}};
}

struct GetParams {
  std::string name;
  void fields(Params& params) { params.optional("name", &name, "Only this one"); }
};

Task<Json> get_controllers(GetParams params) {
  Json list = Json::array();
  if (!params.name.empty()) {
    list.push_back(describe(*AttachedController::find(params.name)));
  } else {
    for (const auto& controller : AttachedController::all()) list.push_back(describe(*controller));
  }
  co_return list;
}

Task<Json> health(NameParams params) {
  const auto controller = AttachedController::find(params.name);
  const auto& core = controller->core();
  const DmaBuf buffer(sizeof(spec::SmartLog));
  auto reading = core->admin(spec::get_log_page_command(spec::LogPage::smart_health, sizeof(spec::SmartLog)), buffer,
                             "get_log_page");
  co_await std::move(reading);
  spec::SmartLog log;
  std::memcpy(&log, buffer.data(), sizeof log);
  const auto data = core->identify();
  const auto count = [](const spec::Le128& value) {
    return value.high != 0 ? Json(value.to_double()) : Json(value.low.value());
  };
  co_return Json{{"model_number", data->mn.to_string()},
                 {"serial_number", data->sn.to_string()},
                 {"firmware_revision", data->fr.to_string()},
                 {"traddr", core->settings().id.traddr},
                 {"critical_warning", log.critical_warning},
                 {"temperature_celsius", static_cast<int>(log.composite_temperature) - 273},
                 {"available_spare_percentage", log.available_spare},
                 {"available_spare_threshold_percentage", log.available_spare_threshold},
                 {"percentage_used", log.percentage_used},
                 {"data_units_read", count(log.data_units_read)},
                 {"data_units_written", count(log.data_units_written)},
                 {"host_read_commands", count(log.host_reads)},
                 {"host_write_commands", count(log.host_writes)},
                 {"controller_busy_time", count(log.controller_busy_time)},
                 {"power_cycles", count(log.power_cycles)},
                 {"power_on_hours", count(log.power_on_hours)},
                 {"unsafe_shutdowns", count(log.unsafe_shutdowns)},
                 {"media_errors", count(log.media_errors)},
                 {"num_err_log_entries", count(log.error_log_entries)},
                 {"warning_temperature_time_minutes", log.warning_temperature_time.value()},
                 {"critical_composite_temperature_time_minutes", log.critical_temperature_time.value()}};
}

Task<Json> set_hotplug(HotplugParams) { co_return Json(true); }

Task<Json> set_options(SetOptions options) {
  nvme_disk::set_defaults(options);
  co_return Json(true);
}

// ---- commands as they are

/// With - and _ instead of + and /, as SPDK's method takes and gives them.
std::string to_url_alphabet(std::string text) {
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  return text;
}

std::vector<std::byte> decode(std::string text) {
  std::ranges::replace(text, '-', '+');
  std::ranges::replace(text, '_', '/');
  while (text.size() % 4 != 0) text += '=';
  return base64_decode(text);
}

struct SendParams {
  std::string name;
  std::string cmd_type;
  std::string data_direction;
  std::string cmdbuf;
  std::string data;
  std::uint32_t data_len = 0;
  std::uint64_t timeout_ms = 0;
  void fields(Params& params) {
    params.required("name", &name, "Name of the controller");
    params.required("cmd_type", &cmd_type, "admin or io");
    params.check(cmd_type == "admin" || cmd_type == "io", "cmd_type", "must be admin or io");
    params.required("data_direction", &data_direction, "c2h or h2c");
    params.check(data_direction == "c2h" || data_direction == "h2c", "data_direction", "must be c2h or h2c");
    params.required("cmdbuf", &cmdbuf, "The command, 64 bytes in base64");
    params.optional("data", &data, "Data for the controller in base64");
    params.optional("data_len", &data_len, "Bytes of data from the controller");
    params.check(data_len <= (16u << 20), "data_len", "must be at most 16 MiB");
    params.optional("timeout_ms", &timeout_ms, "Give up after so long; 0: never");
    params.check(timeout_ms <= 86'400'000, "timeout_ms", "must be at most a day");
  }
};

Task<spec::Completion> send_io(std::shared_ptr<nvme::ControllerCore> core, spec::Command command, DmaSpan data) {
  auto opening = core->open_queue({});
  nvme::Qpair qpair(core, co_await std::move(opening));
  auto operation = qpair.execute(command, data);
  const auto done = co_await as_result(operation);
  auto closing = qpair.close();
  co_await std::move(closing);
  if (!done) throw done.error();
  co_return *done;
}

Task<Json> send_command(SendParams params) {
  const auto core = AttachedController::find(params.name)->core();
  const std::vector<std::byte> bytes = decode(std::move(params.cmdbuf));
  spec::Command command;
  if (bytes.size() != sizeof command) {
    throw rpc::RpcError::invalid_params(fmt::format("cmdbuf has {} bytes, a command has 64", bytes.size()));
  }
  std::memcpy(&command, bytes.data(), sizeof command);
  const bool reading = params.data_direction == "c2h";
  const std::vector<std::byte> out = reading ? std::vector<std::byte>{} : decode(std::move(params.data));
  const std::size_t length = reading ? params.data_len : out.size();
  DmaBuf buffer;
  if (length != 0) {
    buffer = DmaBuf(length);
    if (!out.empty()) std::memcpy(buffer.data(), out.data(), out.size());
  }
  auto running =
      params.cmd_type == "admin" ? core->admin(command, buffer, "nvme_admin") : send_io(core, command, buffer);
  const auto limit = params.timeout_ms != 0 ? milliseconds{static_cast<std::int64_t>(params.timeout_ms)}
                                            : milliseconds{std::int64_t{86'400'000} * 365};
  auto limited = with_timeout(limit, std::move(running));
  auto done = co_await as_result(std::move(limited));
  spec::Completion completion;
  if (done) {
    completion = *done;
  } else if (done.error().nvme_status()) {
    completion.set_status(*done.error().nvme_status());  // the caller looks at it
  } else {
    throw done.error();
  }
  Json result{{"cpl", to_url_alphabet(base64_encode(std::as_bytes(std::span(&completion, 1))))}};
  if (reading && length != 0) result["data"] = to_url_alphabet(base64_encode(buffer.bytes()));
  co_return result;
}

}  // namespace

void register_nvme_methods(rpc::MethodTable& table) {
  table.add<AttachParams>("bdev_nvme_attach_controller", "Connect to an NVMe controller; its namespaces become bdevs",
                          attach);
  table.add<DetachParams>("bdev_nvme_detach_controller", "Remove a controller and its bdevs", detach);
  table.add<GetParams>("bdev_nvme_get_controllers", "What controllers are attached, and how they are", get_controllers);
  table.add<NameParams>("bdev_nvme_reset_controller", "Take a controller's connections down and make them again",
                        reset);
  table.add<NameParams>("bdev_nvme_get_controller_health_info", "The health log of a controller", health);
  table.add<SetOptions>("bdev_nvme_set_options", "For controllers that are attached afterwards", set_options,
                        rpc::RpcStates::always);
  table.add<HotplugParams>("bdev_nvme_set_hotplug", "Whether controllers that appear are attached", set_hotplug);
  table.add<SendParams>("bdev_nvme_send_cmd", "Send a command to a controller as it is", send_command);
  nvme_disk::register_discovery_methods(table);
}

}  // namespace spdkio::bdev
