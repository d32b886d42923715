// The discovery log page. NVMe Base Specification 2.x, "Discovery Log Page (Log Page Identifier 70h)".
#pragma once

#include <spdkio/spec/endian.hpp>

#include <array>
#include <cstdint>

namespace spdkio::spec::discovery {

inline constexpr std::uint8_t log_page_identifier = 0x70;

enum class TransportType : std::uint8_t { rdma = 1, fc = 2, tcp = 3, loop = 254 };
enum class AddressFamily : std::uint8_t { unspecified = 0, ipv4 = 1, ipv6 = 2, infiniband = 3, fc = 4, loop = 254 };
enum class SubsystemType : std::uint8_t {
  referral = 1,  ///< another discovery service
  nvm = 2,
  current_discovery = 3  ///< the discovery service that is being asked
};
/// TREQ bits 1:0.
enum class SecureChannel : std::uint8_t { not_specified = 0, required = 1, not_required = 2 };

/// Bits of LogEntry::eflags.
inline constexpr std::uint16_t eflag_duplicate_information = 1 << 0;
/// The discovery service keeps connections for asynchronous events.
inline constexpr std::uint16_t eflag_explicit_persistent = 1 << 1;

/// CNTLID of entries whose controllers are made at Connect.
inline constexpr std::uint16_t dynamic_controller = 0xFFFF;

/// One way to reach one subsystem, 1024 bytes. Texts are padded with spaces (TRSVCID, TRADDR) or NUL (SUBNQN).
struct LogEntry {
  TransportType trtype{};
  AddressFamily adrfam{};
  SubsystemType subtype{};
  std::uint8_t treq = 0;
  Le16 portid;
  Le16 cntlid;
  Le16 asqsz;
  Le16 eflags;
  Reserved<20> reserved{};
  std::array<char, 32> trsvcid{};
  Reserved<192> reserved2{};
  std::array<char, 256> subnqn{};
  std::array<char, 256> traddr{};
  std::array<std::uint8_t, 256> tsas{};  ///< TCP: byte 0 is the security type, 0: none
};
static_assert(sizeof(LogEntry) == 1024);

/// The head of the page; `numrec` entries follow.
struct LogHeader {
  Le64 genctr;  ///< changes whenever the page does
  Le64 numrec;
  Le16 recfmt;
  Reserved<1006> reserved{};
};
static_assert(sizeof(LogHeader) == 1024);

}  // namespace spdkio::spec::discovery
