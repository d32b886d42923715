// TransportId: where a controller is and which subsystem is meant.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace spdkio::nvme {

enum class TransportType : std::uint8_t { pcie, tcp, rdma };
/// "PCIe", "TCP", "RDMA". Static storage.
std::string_view to_string(TransportType type) noexcept;

enum class AddressFamily : std::uint8_t { unspecified, ipv4, ipv6, infiniband, fibre_channel };
/// "IPv4", "IPv6", "IB", "FC"; empty for unspecified. Static storage.
std::string_view to_string(AddressFamily family) noexcept;

/// A plain value with strings of its own. In text form the same as everywhere in SPDK:
/// `trtype:TCP adrfam:IPv4 traddr:192.0.2.7 trsvcid:4420 subnqn:nqn.2026-11.io.spdkio:disk0`.
struct TransportId {
  TransportType trtype = TransportType::pcie;
  AddressFamily adrfam = AddressFamily::unspecified;
  /// PCIe: `0000:01:00.0`. Fabrics: an IPv4 or IPv6 address without brackets, or a host name.
  std::string traddr{};
  std::string trsvcid{};    ///< Fabrics: the port
  std::string subnqn{};     ///< Fabrics: the subsystem; empty: the discovery service
  std::string hostaddr{};   ///< Fabrics: the own address to connect from; empty: any
  std::string hostsvcid{};  ///< Fabrics: the own port; empty: any
  int priority = 0;         ///< TCP: SO_PRIORITY of the connections; 0: the system's

  /// `host` may be an IPv4 address, an IPv6 address with or without brackets, or a name.
  static TransportId tcp(std::string_view host, std::uint16_t port, std::string_view subnqn = {});
  static TransportId rdma(std::string_view host, std::uint16_t port, std::string_view subnqn = {});
  /// `address` is `0000:01:00.0` or `01:00.0`. Throws Misuse::invalid_argument for anything else.
  static TransportId pcie(std::string_view address);

  /// Reads `key:value` pairs (or `key=value`) separated by white space: trtype, adrfam, traddr, trsvcid, subnqn,
  /// hostaddr, hostsvcid, priority; keys and the names of transports and families in any case. Throws Error
  /// (Misuse::invalid_argument) that names the key and what is wrong: an unknown key, one that stands twice, no trtype,
  /// a traddr, port or NQN that can't be right.
  static TransportId parse(std::string_view text);

  /// What `parse` reads, with the fields that are set.
  std::string to_string() const;

  /// The port as a number; 0 when none is set. Only for a TransportId that was parsed or made by the functions above.
  std::uint16_t port() const noexcept;
  /// Throws what `parse` would for fields that can't be right: for one that was filled in by hand.
  void check() const;

  bool operator==(const TransportId&) const = default;
};

}  // namespace spdkio::nvme
