// The discovery log page of a target.
#include <spdkio/spec/discovery.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <cstring>
#include <utility>

#include "nvme/tcp/socket_address.hpp"
#include "nvmf/target_state.hpp"

namespace spdkio::nvmf {
namespace {

using spec::discovery::LogEntry;
using spec::discovery::LogHeader;

/// The number of a listener among all: what PORTID tells apart.
LogEntry entry_for(const SubsystemState& subsystem, const nvme::TransportId& where, std::uint16_t port_id,
                   const HostConnect& host, std::uint32_t admin_entries) {
  LogEntry entry{};
  entry.trtype = spec::discovery::TransportType::tcp;
  entry.adrfam = where.adrfam == nvme::AddressFamily::ipv6 ? spec::discovery::AddressFamily::ipv6
                                                           : spec::discovery::AddressFamily::ipv4;
  entry.subtype = subsystem.is_discovery() ? spec::discovery::SubsystemType::current_discovery
                                           : spec::discovery::SubsystemType::nvm;
  entry.treq = static_cast<std::uint8_t>(spec::discovery::SecureChannel::not_required);
  entry.portid = port_id;
  entry.cntlid = spec::discovery::dynamic_controller;
  entry.asqsz = static_cast<std::uint16_t>(admin_entries);
  if (subsystem.is_discovery()) {
    entry.eflags = static_cast<std::uint16_t>(spec::discovery::eflag_duplicate_information |
                                              spec::discovery::eflag_explicit_persistent);
  }
  // A host can't connect to "any address": it gets the one that it came in on.
  const auto address = nvme::tcp::SocketAddress::parse(where.traddr, 0);
  const bool any = address && address->is_any();
  spec::fabrics::set_field_text(entry.trsvcid, where.trsvcid, ' ');
  spec::fabrics::set_field_text(entry.traddr, any ? host.local_address : where.traddr, ' ');
  spec::fabrics::set_field_text(entry.subnqn, subsystem.nqn());
  return entry;
}

LogEntry entry_for(const Referral& referral, std::uint16_t port_id, std::uint32_t admin_entries) {
  LogEntry entry{};
  const nvme::TransportId& where = referral.where;
  entry.trtype = where.trtype == nvme::TransportType::rdma ? spec::discovery::TransportType::rdma
                                                           : spec::discovery::TransportType::tcp;
  entry.adrfam = where.adrfam == nvme::AddressFamily::ipv6 ? spec::discovery::AddressFamily::ipv6
                                                           : spec::discovery::AddressFamily::ipv4;
  entry.subtype = spec::discovery::SubsystemType::referral;
  entry.treq = static_cast<std::uint8_t>(referral.secure_channel ? spec::discovery::SecureChannel::required
                                                                 : spec::discovery::SecureChannel::not_required);
  entry.portid = port_id;
  entry.cntlid = spec::discovery::dynamic_controller;
  entry.asqsz = static_cast<std::uint16_t>(admin_entries);
  spec::fabrics::set_field_text(entry.trsvcid, where.trsvcid, ' ');
  spec::fabrics::set_field_text(entry.traddr, where.traddr, ' ');
  spec::fabrics::set_field_text(entry.subnqn, where.subnqn);
  return entry;
}

void append(DiscoveryLog& log, const LogEntry& entry) {
  const auto* const bytes = reinterpret_cast<const std::byte*>(&entry);
  log.insert(log.end(), bytes, bytes + sizeof entry);
}

}  // namespace

std::shared_ptr<const DiscoveryLog> TargetState::discovery_log(const HostConnect& host) const {
  auto log = std::make_shared<DiscoveryLog>(sizeof(LogHeader));
  LogHeader header{};
  std::uint64_t records = 0;
  for (const auto& subsystem : subsystems_) {
    if (subsystem->status() == SubsystemStatus::inactive || !subsystem->allows(host.hostnqn)) continue;
    std::uint16_t port_id = 0;
    for (const nvme::TransportId& where : subsystem->listeners()) {
      append(*log, entry_for(*subsystem, where, port_id++, host, transport_->max_aq_depth));
      ++records;
    }
  }
  std::uint16_t port_id = 0;
  for (const Referral& referral : referrals()) {
    append(*log, entry_for(referral, port_id++, transport_ ? transport_->max_aq_depth : 32));
    ++records;
  }
  header.genctr = generation_;
  header.numrec = records;
  std::memcpy(log->data(), &header, sizeof header);
  return log;
}

void TargetState::discovery_changed() {
  ++generation_;
  if (subsystems_.empty() || destroying_) return;
  for (const auto& [cntlid, controller] : subsystems_.front()->controller_map()) {
    [[maybe_unused]] const auto sent =
        controller->thread.send([controller = controller] { controller->discovery_log_changed(); });
  }
}

}  // namespace spdkio::nvmf
