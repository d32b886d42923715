// What a Connection sends: R2Ts, data and completions, gathered until the flush.
#include <spdkio/base/crc32c.hpp>
#include <spdkio/base/probe.hpp>

#include <cstring>

#include "nvmf/poll_group.hpp"
#include "nvmf/tcp/connection.hpp"

namespace spdkio::nvmf::tcp {

using spec::tcp::digest_size;
using spec::tcp::PduType;
namespace pdu_flag = spec::tcp::pdu_flag;

namespace {

constexpr std::uint32_t align_up(std::uint32_t value, std::uint32_t alignment) noexcept {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace

template <class T>
std::byte* Connection::add_header(const T& header) noexcept {
  constexpr std::size_t size = sizeof header;
  std::byte* const at = sends_.add_header(header_digest_ ? size + digest_size : size);
  std::memcpy(at, &header, size);
  if (header_digest_) {
    const spec::Le32 crc = crc32c({at, size});
    std::memcpy(at + size, &crc, sizeof crc);
  }
  return at;
}

void Connection::ask_for_data(Request& request) noexcept {
  spec::tcp::R2t r2t;
  r2t.common.type = PduType::r2t;
  r2t.common.flags = header_digest_ ? pdu_flag::header_digest : 0;
  r2t.common.hlen = sizeof r2t;
  r2t.common.plen = static_cast<std::uint32_t>(sizeof r2t + (header_digest_ ? digest_size : 0));
  r2t.cccid = request.command.cid;
  r2t.ttag = request.index;
  r2t.r2tl = request.host_to_controller;
  add_header(r2t);
  flush_soon();
}

void Connection::send_response(Request& request) noexcept {
  if (request.controller_to_host > 0) {
    send_data(request);
  } else {
    send_completion(request);
    free_request(request);
  }
  flush_soon();
}

void Connection::send_data(Request& request) noexcept {
  const TransportSettings& transport = group().transport();
  const std::uint32_t bytes = request.controller_to_host;
  // Data alone says no more than success.
  const bool alone = transport.c2h_success && request.completion.ok() && request.completion.dw0_1() == 0;
  spec::tcp::DataPdu pdu;
  const std::uint32_t head = sizeof pdu + (header_digest_ ? digest_size : 0);
  const std::uint32_t offset = align_up(head, host_alignment_);
  pdu.common.type = PduType::c2h_data;
  pdu.common.flags = static_cast<std::uint8_t>(pdu_flag::last_pdu | (alone ? pdu_flag::success : 0) |
                                               (header_digest_ ? pdu_flag::header_digest : 0) |
                                               (data_digest_ ? pdu_flag::data_digest : 0));
  pdu.common.hlen = sizeof pdu;
  pdu.common.pdo = static_cast<std::uint8_t>(offset);
  pdu.common.plen = offset + bytes + (data_digest_ ? static_cast<std::uint32_t>(digest_size) : 0);
  pdu.cccid = request.command.cid;
  pdu.datal = bytes;
  add_header(pdu);
  if (offset > head) std::memset(sends_.add_header(offset - head), 0, offset - head);
  sends_.add_payload(request.data.data(), bytes);
  if (data_digest_) {
    const spec::Le32 crc = crc32c({request.data.data(), bytes});
    std::memcpy(sends_.add_header(digest_size), &crc, sizeof crc);
  }
  if (!alone) send_completion(request);
  request.sent = data_sent;
  sends_.add_notice(request);
}

void Connection::send_completion(const Request& request) noexcept {
  spec::tcp::CapsuleResp response;
  response.common.type = PduType::capsule_resp;
  response.common.flags = header_digest_ ? pdu_flag::header_digest : 0;
  response.common.hlen = sizeof response;
  response.common.plen = static_cast<std::uint32_t>(sizeof response + (header_digest_ ? digest_size : 0));
  response.completion = request.completion;
  SPDKIO_PROBE(nvmf_tcp_completion_sent, this, static_cast<int>(request.completion.cid));
  add_header(response);
}

void Connection::data_sent(nvme::tcp::SentNotice& notice) noexcept {
  auto& request = static_cast<Request&>(notice);
  static_cast<Connection*>(request.queue)->free_request(request);
}

}  // namespace spdkio::nvmf::tcp
