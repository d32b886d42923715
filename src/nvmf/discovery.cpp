// The discovery log page of a target.
#include <spdkio/base/error.hpp>
#include <spdkio/spec/discovery.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <algorithm>
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

bool same_service(const nvme::TransportId& a, const nvme::TransportId& b) noexcept {
  return a.trtype == b.trtype && a.traddr == b.traddr && a.trsvcid == b.trsvcid && a.subnqn == b.subnqn;
}

/// With what may be left out filled in.
nvme::TransportId complete(nvme::TransportId where) {
  if (where.trsvcid.empty()) where.trsvcid = "4420";
  if (where.subnqn.empty()) where.subnqn = spec::fabrics::discovery_nqn;
  if (where.adrfam == nvme::AddressFamily::unspecified) {
    where.adrfam = where.traddr.find(':') == std::string::npos ? nvme::AddressFamily::ipv4 : nvme::AddressFamily::ipv6;
  }
  return where;
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
  for (const Referral& referral : referrals_) {
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

void TargetState::add_referral(Referral referral) {
  if (referral.where.trtype == nvme::TransportType::pcie) {
    throw Error(Misuse::invalid_argument, "a referral is to a discovery service on a network")
        .with_operation("add_referral");
  }
  referral.where = complete(std::move(referral.where));
  referral.where.check();
  const auto address = nvme::tcp::SocketAddress::parse(referral.where.traddr, 0);
  if (address && address->is_any()) {
    throw Error(Misuse::invalid_argument, referral.where.traddr + " is no address that a host could connect to")
        .with_operation("add_referral");
  }
  if (std::ranges::any_of(referrals_, [&](const Referral& each) { return same_service(each.where, referral.where); })) {
    throw Error(std::errc::file_exists, "that discovery service is listed already")
        .with_operation("add_referral")
        .with_device(referral.where.to_string());
  }
  referrals_.push_back(std::move(referral));
  discovery_changed();
}

void TargetState::remove_referral(const nvme::TransportId& where) {
  const nvme::TransportId wanted = complete(where);
  const auto found =
      std::ranges::find_if(referrals_, [&](const Referral& each) { return same_service(each.where, wanted); });
  if (found == referrals_.end()) {
    throw Error(std::errc::no_such_file_or_directory, "no such discovery service is listed")
        .with_operation("remove_referral")
        .with_device(wanted.to_string());
  }
  referrals_.erase(found);
  discovery_changed();
}

}  // namespace spdkio::nvmf
