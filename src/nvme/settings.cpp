#include "nvme/settings.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace spdkio::nvme {
namespace {

[[noreturn]] void refuse(std::string message) {
  throw Error(Misuse::invalid_argument, std::move(message)).with_operation("nvme connect");
}

void check_queue_size(std::string_view name, std::uint32_t entries) {
  constexpr std::uint32_t largest_admin_queue = 4096;
  if (entries < 2 || entries > largest_admin_queue) {
    refuse(fmt::format("{} is {}: 2 to {} are possible", name, entries, largest_admin_queue));
  }
}

void check_not_negative(std::string_view name, std::chrono::milliseconds value) {
  if (value.count() < 0) refuse(fmt::format("{} can't be negative", name));
}

std::string default_name(const TransportId& id) {
  if (id.trtype == TransportType::pcie) return id.traddr;
  const bool v6 = id.traddr.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}/{}", v6 ? "[" : "", id.traddr, v6 ? "]" : "", id.trsvcid, id.subnqn);
}

}  // namespace

const Uuid& default_host_id() {
  static const Uuid id = Uuid::random();
  return id;
}

ControllerSettings ControllerSettings::from(const TransportId& id, const ControllerOptions& options) {
  id.check();
  ControllerSettings settings;
  settings.id = id;
  settings.discovery = options.discovery || id.subnqn == spec::fabrics::discovery_nqn;
  if (id.trtype != TransportType::pcie && id.subnqn.empty()) {
    if (!settings.discovery) {
      throw Error(Misuse::invalid_argument, "the TransportId names no subsystem")
          .with_operation("nvme connect")
          .with_hint("add subnqn:, or ask nvme::discover what is there");
    }
    settings.id.subnqn = spec::fabrics::discovery_nqn;
  }
  settings.name = options.name.empty() ? default_name(settings.id) : std::string(options.name);
  check_queue_size("admin_queue_size", options.admin_queue_size);
  if (options.io_queue_size < 2) refuse(fmt::format("io_queue_size is {}: at least 2", options.io_queue_size));
  settings.num_io_queues = options.num_io_queues;
  settings.admin_queue_size = options.admin_queue_size;
  settings.io_queue_size = options.io_queue_size;
  settings.host_id = options.host_id.is_nil() ? default_host_id() : options.host_id;
  settings.host_nqn = options.host_nqn.empty()
                          ? std::string(spec::fabrics::uuid_nqn_prefix) + settings.host_id.to_string()
                          : std::string(options.host_nqn);
  const std::string problem = spec::fabrics::nqn_problem(settings.host_nqn);
  if (!problem.empty()) refuse(fmt::format("host_nqn '{}': {}", settings.host_nqn, problem));
  check_not_negative("keep_alive", options.keep_alive);
  check_not_negative("connect_timeout", options.connect_timeout);
  check_not_negative("admin_timeout", options.admin_timeout);
  check_not_negative("io_timeout", options.io_timeout);
  check_not_negative("reconnect.initial_delay", options.reconnect.initial_delay);
  check_not_negative("reconnect.max_delay", options.reconnect.max_delay);
  if (options.connect_timeout.count() == 0) refuse("connect_timeout can't be zero");
  settings.keep_alive = options.keep_alive;
  settings.header_digest = options.header_digest;
  settings.data_digest = options.data_digest;
  settings.connect_timeout = options.connect_timeout;
  settings.admin_timeout = options.admin_timeout;
  settings.io_timeout = options.io_timeout;
  settings.reconnect = options.reconnect;
  settings.retries = options.retries;
  settings.congestion_control = options.congestion_control;
  settings.type_of_service = options.type_of_service;
  return settings;
}

}  // namespace spdkio::nvme
