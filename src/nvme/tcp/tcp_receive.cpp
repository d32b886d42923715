// What a TcpQueue does with the PDUs that the controller sends.
#include <spdkio/base/crc32c.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/base/probe.hpp>

#include <sys/socket.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "nvme/tcp/tcp_queue.hpp"

namespace spdkio::nvme::tcp {
namespace {

using spec::tcp::CommonHeader;
using spec::tcp::FatalError;
using spec::tcp::PduType;
namespace pdu_flag = spec::tcp::pdu_flag;

std::span<const std::byte> bytes_of(const auto& pdu) noexcept { return std::as_bytes(std::span(&pdu, 1)); }

template <class Pdu>
const Pdu& as(const CommonHeader& header) noexcept {
  return reinterpret_cast<const Pdu&>(header);  // check_header saw to the length
}

}  // namespace

Accept TcpQueue::pdu_announced(const CommonHeader& header, std::uint32_t data_bytes, DataTarget& target) noexcept {
  if (phase_ == Phase::handshake && header.type != PduType::ic_resp && header.type != PduType::c2h_term_req) {
    violated(FatalError::sequence_error, 0, bytes_of(header), "a PDU before ICResp");
    return Accept::stop;
  }
  if (header.type == PduType::c2h_data) return announce_data(as<spec::tcp::DataPdu>(header), data_bytes, target);
  return Accept::yes;
}

Accept TcpQueue::announce_data(const spec::tcp::DataPdu& pdu, std::uint32_t data_bytes, DataTarget& target) noexcept {
  const auto refuse = [&](FatalError error, std::uint32_t information, std::string_view what) {
    violated(error, information, bytes_of(pdu), what);
    return Accept::stop;
  };
  const Slot* const slot = find(pdu.cccid);
  if (slot == nullptr || slot->answered) {
    return refuse(FatalError::invalid_header_field, offsetof(spec::tcp::DataPdu, cccid),
                  "C2HData for a command that is not in flight");
  }
  const Request& request = *slot->request;
  if (request.direction != spec::DataTransfer::controller_to_host) {
    return refuse(FatalError::invalid_header_field, offsetof(spec::tcp::DataPdu, cccid),
                  "C2HData for a command that reads nothing");
  }
  if (pdu.datal != data_bytes) {
    return refuse(FatalError::invalid_header_field, offsetof(spec::tcp::DataPdu, datal),
                  "C2HData whose DATAL is not the length of its data");
  }
  if (pdu.datao != slot->received) {
    return refuse(FatalError::data_out_of_range, 0, "C2HData out of order");
  }
  if (data_bytes > request.data_bytes - slot->received) {
    return refuse(FatalError::data_out_of_range, 0, "C2HData beyond the end of the buffer");
  }
  if (pdu.common.has(pdu_flag::success) && !pdu.common.has(pdu_flag::last_pdu)) {
    return refuse(FatalError::invalid_header_field, spec::tcp::offset_of_flags,
                  "C2HData with SUCCESS but not LAST_PDU");
  }
  target.spans = DmaSpans(request.iov, request.iov_count);
  target.offset = request.data_offset + slot->received;
  return Accept::yes;
}

bool TcpQueue::pdu_complete(const CommonHeader& header, bool data_digest_right) noexcept {
  SPDKIO_PROBE(nvme_tcp_pdu_received, this, static_cast<int>(header.type), header.plen.value());
  switch (header.type) {
    case PduType::capsule_resp: return take_response(as<spec::tcp::CapsuleResp>(header));
    case PduType::c2h_data: return take_data_end(as<spec::tcp::DataPdu>(header), data_digest_right);
    case PduType::r2t: return take_r2t(as<spec::tcp::R2t>(header));
    case PduType::ic_resp: return take_ic_resp(as<spec::tcp::IcResp>(header));
    case PduType::c2h_term_req: {
      const auto& term = as<spec::tcp::TermReq>(header);
      const auto error = static_cast<FatalError>(term.fes.value());
      fail(
          Error(std::errc::protocol_error, fmt::format("the controller ended the connection: {} (FES {:#x}, FEI {:#x})",
                                                       spec::tcp::to_string(error), term.fes.value(), term.fei.value()))
              .with_device(device_));
      return false;
    }
    default: return violated(FatalError::invalid_header_field, 0, bytes_of(header), "a PDU that only hosts send");
  }
}

bool TcpQueue::take_data_end(const spec::tcp::DataPdu& pdu, bool digest_right) noexcept {
  Slot* const slot = find(pdu.cccid);
  if (slot == nullptr) return phase_ == Phase::running;
  slot->received += pdu.datal;
  if (!digest_right) {
    log::warn("{}: data digest error in data for command {} on queue {}", device_, pdu.cccid.value(), parameters_.qid);
    slot->data_damaged = true;
  }
  if (!pdu.common.has(pdu_flag::success)) return true;
  spec::Completion completion;
  completion.cid = pdu.cccid;
  if (slot->received != slot->request->data_bytes) completion.set_status(data_transfer_failed);
  if (slot->data_damaged) completion.set_status(transient_transport_error);
  answer(*slot, completion);
  return phase_ == Phase::running;
}

bool TcpQueue::take_response(const spec::tcp::CapsuleResp& response) noexcept {
  spec::Completion completion = response.completion;
  Slot* const slot = find(completion.cid);
  if (slot == nullptr || slot->answered) {
    return violated(FatalError::invalid_header_field, offsetof(spec::tcp::CapsuleResp, completion) + 12,
                    bytes_of(response), "CapsuleResp for a command that is not in flight");
  }
  const Request& request = *slot->request;
  if (completion.ok() && request.direction == spec::DataTransfer::controller_to_host) {
    if (slot->data_damaged) {
      completion.set_status(transient_transport_error);
    } else if (slot->received != request.data_bytes && parameters_.qid != 0) {
      log::warn("{}: success for command {} on queue {} after {} of {} bytes", device_, completion.cid.value(),
                parameters_.qid, slot->received, request.data_bytes);
      completion.set_status(data_transfer_failed);
    }
  }
  answer(*slot, completion);
  return phase_ == Phase::running;
}

bool TcpQueue::take_r2t(const spec::tcp::R2t& r2t) noexcept {
  const auto header = bytes_of(r2t);
  Slot* const slot = find(r2t.cccid);
  if (slot == nullptr || slot->answered) {
    return violated(FatalError::invalid_header_field, offsetof(spec::tcp::R2t, cccid), header,
                    "R2T for a command that is not in flight");
  }
  const Request& request = *slot->request;
  if (request.direction != spec::DataTransfer::host_to_controller) {
    return violated(FatalError::invalid_header_field, offsetof(spec::tcp::R2t, cccid), header,
                    "R2T for a command that writes nothing");
  }
  const std::uint32_t length = r2t.r2tl;
  if (r2t.r2to != slot->asked_for || length == 0 || length > request.data_bytes - slot->asked_for) {
    return violated(FatalError::data_out_of_range, 0, header, "R2T for data out of order or beyond the end");
  }
  if (slot->unsent >= max_r2t) {
    return violated(FatalError::limit_exceeded, 0, header, "more R2Ts outstanding than MAXR2T allows");
  }
  try {
    write_data(*slot, r2t.ttag, slot->asked_for, length);
  } catch (...) {
    fail(Error(std::errc::not_enough_memory, "no memory to send data").with_device(device_));
    return false;
  }
  slot->asked_for += length;
  flush_later();
  return true;
}

void TcpQueue::write_data(Slot& slot, std::uint16_t ttag, std::uint32_t offset, std::uint32_t length) {
  while (length > 0) {
    const std::uint32_t part = std::min(length, max_h2c_data_);
    spec::tcp::DataPdu pdu;
    pdu.common.type = PduType::h2c_data;
    pdu.common.hlen = sizeof pdu;
    pdu.common.flags = static_cast<std::uint8_t>((part == length ? pdu_flag::last_pdu : 0) |
                                                 (header_digest_ ? pdu_flag::header_digest : 0) |
                                                 (data_digest_ ? pdu_flag::data_digest : 0));
    const std::uint32_t header_bytes =
        static_cast<std::uint32_t>(sizeof pdu + (header_digest_ ? spec::tcp::digest_size : 0));
    const std::uint32_t padding = padding_before_data(header_bytes);
    pdu.common.pdo = static_cast<std::uint8_t>(header_bytes + padding);
    pdu.common.plen =
        static_cast<std::uint32_t>(header_bytes + padding + part + (data_digest_ ? spec::tcp::digest_size : 0));
    pdu.cccid = slot.cid;
    pdu.ttag = ttag;
    pdu.datao = offset;
    pdu.datal = part;
    add_header(&pdu, sizeof pdu, padding);
    add_payload(slot, offset, part);
    offset += part;
    length -= part;
  }
  send_.add_notice(slot);
  ++slot.unsent;
}

// ---- violations

void TcpQueue::protocol_violated(spec::tcp::Violation violation, std::span<const std::byte> header) noexcept {
  violated(violation.error, violation.information, header, spec::tcp::to_string(violation.error));
}

/// Always false.
bool TcpQueue::violated(FatalError error, std::uint32_t information, std::span<const std::byte> header,
                        std::string_view what) noexcept {
  std::string text;
  try {
    const auto type = header.empty() ? PduType{} : static_cast<PduType>(header.front());
    text = fmt::format("protocol error of the controller on queue {}: {} (in {}, FES {:#x}, FEI {:#x})",
                       parameters_.qid, what, spec::tcp::to_string(type), static_cast<unsigned>(error), information);
  } catch (...) {
  }
  terminate({error, information}, header);
  fail(Error(std::errc::protocol_error, std::move(text)).with_device(device_));
  return false;
}

/// Tells the controller why the connection ends, if the socket takes it at once.
void TcpQueue::terminate(spec::tcp::Violation violation, std::span<const std::byte> header) noexcept {
  if (!fd_ || !send_.empty()) return;  // a PDU half sent can't be followed by another
  spec::tcp::TermReq request;
  std::array<std::byte, sizeof request + spec::tcp::max_term_req_data> pdu{};
  const std::size_t copied = std::min(header.size(), spec::tcp::max_term_req_data);
  request.common.type = PduType::h2c_term_req;
  request.common.hlen = sizeof request;
  request.common.plen = static_cast<std::uint32_t>(sizeof request + copied);
  request.fes = static_cast<std::uint16_t>(violation.error);
  request.fei = violation.information;
  std::memcpy(pdu.data(), &request, sizeof request);
  if (copied != 0) std::memcpy(pdu.data() + sizeof request, header.data(), copied);
  [[maybe_unused]] const auto sent =
      ::send(fd_.get(), pdu.data(), sizeof request + copied, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace spdkio::nvme::tcp
