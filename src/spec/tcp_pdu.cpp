#include <spdkio/spec/tcp_pdu.hpp>

namespace spdkio::spec::tcp {
namespace {

constexpr Violation wrong_field(std::uint32_t offset) noexcept { return {FatalError::invalid_header_field, offset}; }

/// Bytes of the header of that type; 0 for types that don't exist.
constexpr std::uint8_t header_length(PduType type) noexcept {
  switch (type) {
    case PduType::ic_req:
    case PduType::ic_resp: return sizeof(IcReq);
    case PduType::capsule_cmd: return sizeof(CapsuleCmd);
    case PduType::h2c_term_req:
    case PduType::c2h_term_req:
    case PduType::capsule_resp:
    case PduType::h2c_data:
    case PduType::c2h_data:
    case PduType::r2t: return 24;
  }
  return 0;
}

constexpr bool comes_from_host(PduType type) noexcept {
  return type == PduType::ic_req || type == PduType::h2c_term_req || type == PduType::capsule_cmd ||
         type == PduType::h2c_data;
}

}  // namespace

std::string_view to_string(PduType type) noexcept {
  switch (type) {
    case PduType::ic_req: return "ICReq";
    case PduType::ic_resp: return "ICResp";
    case PduType::h2c_term_req: return "H2CTermReq";
    case PduType::c2h_term_req: return "C2HTermReq";
    case PduType::capsule_cmd: return "CapsuleCmd";
    case PduType::capsule_resp: return "CapsuleResp";
    case PduType::h2c_data: return "H2CData";
    case PduType::c2h_data: return "C2HData";
    case PduType::r2t: return "R2T";
  }
  return "unknown PDU";
}

std::string_view to_string(FatalError error) noexcept {
  switch (error) {
    case FatalError::invalid_header_field: return "Invalid PDU Header Field";
    case FatalError::sequence_error: return "PDU Sequence Error";
    case FatalError::header_digest_error: return "Header Digest Error";
    case FatalError::data_out_of_range: return "Data Transfer Out of Range";
    case FatalError::limit_exceeded: return "Data Transfer or R2T Limit Exceeded";
    case FatalError::unsupported_parameter: return "Unsupported Parameter";
  }
  return "unknown error";
}

CheckedHeader check_header(const CommonHeader& header, const ReceiveRules& rules) noexcept {
  const std::uint8_t hlen = header_length(header.type);
  if (hlen == 0 || comes_from_host(header.type) != rules.from_host) return {{}, wrong_field(offset_of_type)};
  if (header.hlen != hlen) return {{}, wrong_field(offset_of_hlen)};

  PduLayout layout{.header_bytes = hlen};
  const std::uint32_t plen = header.plen;
  const bool has_digests =
      hlen != sizeof(IcReq) && header.type != PduType::h2c_term_req && header.type != PduType::c2h_term_req;
  layout.header_digest = has_digests && rules.header_digest;
  if (layout.header_digest) layout.header_bytes += digest_size;
  if (header.has(pdu_flag::header_digest) != layout.header_digest) return {{}, wrong_field(offset_of_flags)};
  if (plen < layout.header_bytes) return {{}, wrong_field(offset_of_plen)};

  switch (header.type) {
    case PduType::h2c_term_req:
    case PduType::c2h_term_req:
      layout.data_bytes = plen - layout.header_bytes;
      if (layout.data_bytes > max_term_req_data) return {{}, wrong_field(offset_of_plen)};
      return {layout, std::nullopt};
    case PduType::capsule_cmd:
      if (plen == layout.header_bytes) break;
      [[fallthrough]];
    case PduType::h2c_data:
    case PduType::c2h_data: {
      layout.data_digest = rules.data_digest;
      const std::uint32_t trailer = layout.data_digest ? digest_size : 0;
      if (header.pdo < layout.header_bytes || header.pdo % rules.alignment != 0)
        return {{}, wrong_field(offset_of_pdo)};
      if (plen <= header.pdo + trailer) return {{}, wrong_field(offset_of_plen)};
      layout.padding = header.pdo - layout.header_bytes;
      layout.data_bytes = plen - header.pdo - trailer;
      if (header.has(pdu_flag::data_digest) != layout.data_digest) return {{}, wrong_field(offset_of_flags)};
      if (header.type == PduType::capsule_cmd ? layout.data_bytes > rules.max_capsule_data
                                              : rules.max_data != 0 && layout.data_bytes > rules.max_data) {
        return {{}, Violation{FatalError::limit_exceeded, 0}};
      }
      return {layout, std::nullopt};
    }
    default: break;
  }
  if (plen != layout.header_bytes) return {{}, wrong_field(offset_of_plen)};
  if (header.has(pdu_flag::data_digest)) return {{}, wrong_field(offset_of_flags)};
  return {layout, std::nullopt};
}

}  // namespace spdkio::spec::tcp
