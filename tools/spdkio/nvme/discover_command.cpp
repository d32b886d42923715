
#include "spdkio/nvme/discover_command.hpp"

#include "spdkio/app/tool_app.hpp"
#include "spdkio/cli/failure.hpp"
#include "spdkio/cli/help_page.hpp"
#include "spdkio/device/nvme_address.hpp"
#include "spdkio/nvme/host_flags.hpp"
#include "spdkio/terminal/table.hpp"

#include <spdkio/app/app.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace spdkio::tool {
namespace {

namespace discovery = spec::discovery;

struct DiscoverFlags {
  std::string service;
  HostFlags host;
  bool referrals = false;
  bool json = false;
};

std::string_view type_name(discovery::SubsystemType type) {
  switch (type) {
    case discovery::SubsystemType::referral: return "referral";
    case discovery::SubsystemType::nvm: return "nvme subsystem";
    case discovery::SubsystemType::current_discovery: return "current discovery subsystem";
  }
  return "unrecognized";
}

std::string_view transport_name(discovery::TransportType type) {
  switch (type) {
    case discovery::TransportType::rdma: return "rdma";
    case discovery::TransportType::fc: return "fc";
    case discovery::TransportType::tcp: return "tcp";
    case discovery::TransportType::loop: return "loop";
  }
  return "unrecognized";
}

std::string_view family_name(discovery::AddressFamily family) {
  switch (family) {
    case discovery::AddressFamily::unspecified: return "unspecified";
    case discovery::AddressFamily::ipv4: return "ipv4";
    case discovery::AddressFamily::ipv6: return "ipv6";
    case discovery::AddressFamily::infiniband: return "infiniband";
    case discovery::AddressFamily::fc: return "fibre-channel";
    case discovery::AddressFamily::loop: return "loop";
  }
  return "unrecognized";
}

std::string treq_text(std::uint8_t treq) {
  switch (static_cast<discovery::SecureChannel>(treq & 3)) {
    case discovery::SecureChannel::not_specified: return "not specified";
    case discovery::SecureChannel::required: return "required";
    case discovery::SecureChannel::not_required: return "not required";
  }
  return "unrecognized";
}

std::string flags_text(std::uint16_t eflags) {
  std::vector<std::string_view> flags;
  if ((eflags & discovery::eflag_explicit_persistent) != 0) flags.emplace_back("explicit discovery connections");
  if ((eflags & discovery::eflag_duplicate_information) != 0) flags.emplace_back("duplicate discovery information");
  return flags.empty() ? "none" : fmt::format("{}", fmt::join(flags, ", "));
}

std::string security_text(const discovery::LogEntry& entry) {
  constexpr std::string_view names[] = {"none", "tls", "tls13"};
  const std::uint8_t type = entry.tsas[0];
  return type < std::size(names) ? std::string(names[type]) : "unrecognized";
}

ExitCode run(const DiscoverFlags& flags, Session& session) {
  NvmeAddress address = parse_nvme_address(flags.service);
  if (address.id.trtype == nvme::TransportType::pcie) {
    throw Failure::usage("a PCIe device is no discovery service", "for example 'trtype:TCP traddr:127.0.0.1'");
  }
  if (!address.id.subnqn.empty() && address.id.subnqn != spec::fabrics::discovery_nqn) {
    throw Failure::usage(fmt::format("{} names a subsystem, not a discovery service", address.id.subnqn),
                         "leave subnqn out, or use `spdkio identify` for that subsystem");
  }
  if (address.nsid) throw Failure::usage("a discovery service has no namespaces", "leave ns out");
  nvme::DiscoverOptions options;
  options.controller = flags.host.controller_options();
  options.follow_referrals = flags.referrals;
  AppOptions app_options = tool_app_options(session, DevicePlan{});
  app_options.name = "discover";
  const auto entries = App::run_result(app_options, [&] { return nvme::discover(address.id, options); });
  if (flags.json) {
    session.out.line(rpc::dump_json(discovery_json(entries), 2));
  } else {
    print_discovery(session.out, entries);
  }
  return ExitCode::success;
}

}  // namespace

Json discovery_json(const std::vector<nvme::DiscoveryEntry>& entries) {
  Json records = Json::array();
  for (const nvme::DiscoveryEntry& entry : entries) {
    Json record = {{"trtype", transport_name(entry.raw.trtype)},
                   {"adrfam", family_name(entry.raw.adrfam)},
                   {"subtype", type_name(entry.type)},
                   {"treq", treq_text(entry.raw.treq)},
                   {"portid", entry.port_id},
                   {"cntlid", entry.controller_id},
                   {"trsvcid", entry.id.trsvcid},
                   {"subnqn", entry.id.subnqn},
                   {"traddr", entry.id.traddr},
                   {"eflags", flags_text(entry.raw.eflags)}};
    if (entry.raw.trtype == discovery::TransportType::tcp) record["sectype"] = security_text(entry.raw);
    records.push_back(std::move(record));
  }
  return {{"records", records}};
}

void print_discovery(const Terminal& out, const std::vector<nvme::DiscoveryEntry>& entries) {
  if (entries.empty()) return out.line("the discovery service knows no subsystem that this host may use");
  Table table{{{"TYPE"}, {"TRANSPORT ID"}}};
  for (const nvme::DiscoveryEntry& entry : entries) {
    // What this library can't connect to is shown all the same.
    const std::string where =
        entry.connectable
            ? entry.id.to_string()
            : fmt::format("trtype:{} adrfam:{} traddr:{} trsvcid:{} subnqn:{}", transport_name(entry.raw.trtype),
                          family_name(entry.raw.adrfam), entry.id.traddr, entry.id.trsvcid, entry.id.subnqn);
    table.add_row(
        {std::string(type_name(entry.type)), {printable(where), entry.connectable ? Tone::plain : Tone::dim}});
  }
  table.print(out);
}

Command add_discover_command(CLI::App& root) {
  CLI::App* app = root.add_subcommand("discover", "List the subsystems that an NVMe discovery service knows");
  auto flags = std::make_shared<DiscoverFlags>();
  app->add_option("SERVICE", flags->service, "Transport id of the discovery service; port 4420 when it names none")
      ->required()
      ->type_name("ID");
  app->add_flag("--referrals", flags->referrals, "Ask the services that it refers to as well");
  add_host_flags(*app, flags->host);
  app->add_flag("--json", flags->json, "Write JSON as nvme-cli does");
  add_help_sections(*app, {{"What a target on this machine has", "spdkio discover 'trtype:TCP traddr:127.0.0.1'"},
                           {"A service on the port that is assigned to discovery",
                            "spdkio discover 'trtype:TCP traddr:192.0.2.7 "
                            "trsvcid:8009'"},
                           {"What one particular host may use",
                            "spdkio discover 'trtype:TCP traddr:192.0.2.7' --hostnqn nqn.2026-11.io.example:host1"},
                           {"Names of all subsystems",
                            "spdkio discover --json 'trtype:TCP traddr:127.0.0.1' | jq -r .records[].subnqn"}});
  return {app, [flags](Session& session) { return run(*flags, session); }};
}

}  // namespace spdkio::tool
