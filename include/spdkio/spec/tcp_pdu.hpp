// The messages of NVMe/TCP. NVMe TCP Transport Specification 1.x, "PDU Structures".
#pragma once

#include <spdkio/spec/command.hpp>
#include <spdkio/spec/completion.hpp>
#include <spdkio/spec/endian.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace spdkio::spec::tcp {

enum class PduType : std::uint8_t {
  ic_req = 0x00,
  ic_resp = 0x01,
  h2c_term_req = 0x02,
  c2h_term_req = 0x03,
  capsule_cmd = 0x04,
  capsule_resp = 0x05,
  h2c_data = 0x06,
  c2h_data = 0x07,
  r2t = 0x09,
};
/// "CapsuleCmd" and so on; "unknown PDU" for others. Static storage.
std::string_view to_string(PduType type) noexcept;

/// Bits of CommonHeader::flags.
namespace pdu_flag {
inline constexpr std::uint8_t header_digest = 1 << 0;
inline constexpr std::uint8_t data_digest = 1 << 1;
inline constexpr std::uint8_t last_pdu = 1 << 2;  ///< H2CData, C2HData
inline constexpr std::uint8_t success = 1 << 3;   ///< C2HData: no CapsuleResp follows
}  // namespace pdu_flag

/// What all PDUs begin with, 8 bytes.
struct CommonHeader {
  PduType type{};
  std::uint8_t flags = 0;
  std::uint8_t hlen = 0;  ///< bytes of the header, without its digest
  std::uint8_t pdo = 0;   ///< where the data begins, bytes from the start of the PDU; 0 without data
  Le32 plen;              ///< bytes of the whole PDU

  constexpr bool has(std::uint8_t flag) const noexcept { return (flags & flag) != 0; }
  constexpr bool operator==(const CommonHeader&) const noexcept = default;
};
static_assert(sizeof(CommonHeader) == 8);

inline constexpr std::size_t digest_size = 4;
/// Bits of the DGST fields.
inline constexpr std::uint8_t dgst_header = 1 << 0;
inline constexpr std::uint8_t dgst_data = 1 << 1;
/// PDU format version that this library speaks.
inline constexpr std::uint16_t format_version = 0;
/// Largest HPDA and CPDA: data aligned to 128 bytes.
inline constexpr std::uint8_t max_pda = 31;
/// The alignment in bytes that an HPDA or CPDA value asks for.
constexpr std::uint32_t pda_bytes(std::uint8_t pda) noexcept { return (pda + 1u) * 4; }

/// Initialize Connection Request.
struct IcReq {
  CommonHeader common;
  Le16 pfv;
  std::uint8_t hpda = 0;
  std::uint8_t dgst = 0;
  Le32 maxr2t;  ///< 0's based
  Reserved<112> reserved{};
};
static_assert(sizeof(IcReq) == 128);

/// Initialize Connection Response.
struct IcResp {
  CommonHeader common;
  Le16 pfv;
  std::uint8_t cpda = 0;
  std::uint8_t dgst = 0;
  Le32 maxh2cdata;  ///< bytes
  Reserved<112> reserved{};
};
static_assert(sizeof(IcResp) == 128);

/// Fatal Error Status of a termination request.
enum class FatalError : std::uint16_t {
  invalid_header_field = 1,
  sequence_error = 2,
  header_digest_error = 3,
  data_out_of_range = 4,
  limit_exceeded = 5,  ///< R2T limit, or data transfer limit
  unsupported_parameter = 6,
};
/// In the words of the specification; "unknown error" for others. Static storage.
std::string_view to_string(FatalError error) noexcept;

/// H2CTermReq and C2HTermReq; the header of the PDU that was wrong follows, or as much as was received of it.
struct TermReq {
  CommonHeader common;
  Le16 fes;
  Le32 fei;  ///< invalid_header_field, unsupported_parameter: offset of the field; header_digest_error: the digest
  Reserved<10> reserved{};
};
static_assert(sizeof(TermReq) == 24);
inline constexpr std::size_t max_term_req_data = 128;

struct CapsuleCmd {
  CommonHeader common;
  Command command;
};
static_assert(sizeof(CapsuleCmd) == 72);

struct CapsuleResp {
  CommonHeader common;
  Completion completion;
};
static_assert(sizeof(CapsuleResp) == 24);

/// H2CData and C2HData.
struct DataPdu {
  CommonHeader common;
  Le16 cccid;
  Le16 ttag;  ///< of the R2T that asked for it; reserved in C2HData
  Le32 datao;
  Le32 datal;
  Reserved<4> reserved{};
};
static_assert(sizeof(DataPdu) == 24);

struct R2t {
  CommonHeader common;
  Le16 cccid;
  Le16 ttag;
  Le32 r2to;
  Le32 r2tl;
  Reserved<4> reserved{};
};
static_assert(sizeof(R2t) == 24);

inline constexpr std::size_t max_header_size = sizeof(IcReq);
/// Offsets of fields, for TermReq::fei.
inline constexpr std::uint32_t offset_of_type = 0;
inline constexpr std::uint32_t offset_of_flags = 1;
inline constexpr std::uint32_t offset_of_hlen = 2;
inline constexpr std::uint32_t offset_of_pdo = 3;
inline constexpr std::uint32_t offset_of_plen = 4;

/// Why a connection has to be terminated.
struct Violation {
  FatalError error{};
  std::uint32_t information = 0;  ///< FEI
  constexpr bool operator==(const Violation&) const noexcept = default;
};

/// What the two sides of a connection agreed on, as far as it shapes the PDUs that one of them receives.
struct ReceiveRules {
  bool from_host = false;      ///< this is the controller's side
  bool header_digest = false;  ///< from the end of the handshake on
  bool data_digest = false;
  std::uint32_t alignment = 4;         ///< of PDU data in the PDU, bytes: HPDA or CPDA
  std::uint32_t max_capsule_data = 0;  ///< bytes of data in a CapsuleCmd
  std::uint32_t max_data = 0;          ///< bytes of data in an H2CData or C2HData; 0: no limit
};

/// Where the parts of a PDU lie, once its common header was checked.
struct PduLayout {
  std::uint32_t header_bytes = 0;  ///< with the header digest
  std::uint32_t padding = 0;       ///< between header and data
  std::uint32_t data_bytes = 0;
  bool header_digest = false;
  bool data_digest = false;
  constexpr std::uint32_t total() const noexcept {
    return header_bytes + padding + data_bytes + (data_digest ? static_cast<std::uint32_t>(digest_size) : 0);
  }
};

/// Checks the common header of a PDU that was received: a type that may come from that side, the lengths and flags that
/// belong to the type. Gives the layout, or why the connection has to be terminated. Pure; any input.
struct CheckedHeader {
  PduLayout layout;
  std::optional<Violation> violation;
};
CheckedHeader check_header(const CommonHeader& header, const ReceiveRules& rules) noexcept;

}  // namespace spdkio::spec::tcp
