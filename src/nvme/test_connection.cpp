#include "nvme/test_connection.hpp"

#include <spdkio/base/crc32c.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "nvme/test_target.hpp"

namespace spdkio::nvme::test {
namespace {

namespace tcp = spec::tcp;
using tcp::PduType;

spec::Le32 digest_of(std::span<const std::byte> bytes) { return crc32c(bytes); }

}  // namespace

template <class T>
T FakeConnection::Pdu::as() const {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// ---- bytes

void FakeConnection::send_bytes(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the host has gone; receiving will say so
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
}

bool FakeConnection::receive(void* into, std::size_t size) {
  auto* at = static_cast<std::byte*>(into);
  while (size > 0) {
    const ssize_t got = ::recv(fd_.get(), at, size, 0);
    if (got <= 0) return false;
    at += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

std::optional<FakeConnection::Pdu> FakeConnection::receive_pdu() {
  Pdu pdu;
  if (!receive(&pdu.common, sizeof pdu.common)) return std::nullopt;
  const std::uint32_t length = pdu.common.plen;
  if (length < sizeof pdu.common || length > (16u << 20)) return std::nullopt;
  pdu.bytes.resize(length);
  std::memcpy(pdu.bytes.data(), &pdu.common, sizeof pdu.common);
  if (!receive(pdu.bytes.data() + sizeof pdu.common, length - sizeof pdu.common)) return std::nullopt;
  if (pdu.common.has(tcp::pdu_flag::header_digest)) {
    spec::Le32 digest;
    std::memcpy(&digest, pdu.bytes.data() + pdu.common.hlen, sizeof digest);
    if (digest.value() != digest_of(std::span(pdu.bytes).first(pdu.common.hlen)).value()) return std::nullopt;
  }
  if (pdu.common.pdo != 0) {
    const std::uint32_t trailer = pdu.common.has(tcp::pdu_flag::data_digest) ? 4 : 0;
    const auto data = std::span(pdu.bytes).subspan(pdu.common.pdo, length - pdu.common.pdo - trailer);
    pdu.data.assign(data.begin(), data.end());
    if (trailer != 0) {
      spec::Le32 digest;
      std::memcpy(&digest, pdu.bytes.data() + length - 4, sizeof digest);
      if (digest.value() != digest_of(pdu.data).value()) return std::nullopt;
    }
    if (pdu.common.pdo % tcp::pda_bytes(target_.options.cpda) != 0) return std::nullopt;
  }
  return pdu;
}

void FakeConnection::hang_up() noexcept { ::shutdown(fd_.get(), SHUT_RDWR); }

// ---- PDUs

void FakeConnection::respond(const spec::Command& command, std::uint32_t dw0, const NvmeStatus& status,
                             std::uint32_t dw1) {
  const std::lock_guard lock(target_.send_mutex_);
  tcp::CapsuleResp pdu;
  pdu.common.type = PduType::capsule_resp;
  pdu.common.hlen = sizeof pdu;
  const bool digest = digests_on_ && target_.options.header_digest;
  pdu.common.flags = digest ? tcp::pdu_flag::header_digest : 0;
  pdu.common.plen = static_cast<std::uint32_t>(sizeof pdu + (digest ? 4 : 0));
  pdu.completion.cid = command.cid;
  pdu.completion.dw0 = dw0;
  pdu.completion.dw1 = dw1;
  pdu.completion.set_status(status);
  send_struct(pdu);
  if (digest) send_struct(digest_of(std::as_bytes(std::span(&pdu, 1))));
}

void FakeConnection::send_data(const spec::Command& command, std::span<const std::byte> data, bool with_success) {
  const std::lock_guard lock(target_.send_mutex_);
  std::uint32_t offset = 0;
  while (!data.empty()) {
    const auto part = data.first(std::min<std::size_t>(data.size(), target_.options.c2h_data_bytes));
    const bool last = part.size() == data.size();
    const bool header_digest = target_.options.header_digest;
    const bool data_digest = target_.options.data_digest;
    tcp::DataPdu pdu;
    pdu.common.type = PduType::c2h_data;
    pdu.common.hlen = sizeof pdu;
    pdu.common.flags = static_cast<std::uint8_t>(
        (header_digest ? tcp::pdu_flag::header_digest : 0) | (data_digest ? tcp::pdu_flag::data_digest : 0) |
        (last ? tcp::pdu_flag::last_pdu : 0) | (last && with_success ? tcp::pdu_flag::success : 0));
    pdu.common.pdo = static_cast<std::uint8_t>(sizeof pdu + (header_digest ? 4 : 0));
    pdu.common.plen = static_cast<std::uint32_t>(pdu.common.pdo + part.size() + (data_digest ? 4 : 0));
    pdu.cccid = command.cid;
    pdu.datao = offset;
    pdu.datal = static_cast<std::uint32_t>(part.size());
    send_struct(pdu);
    if (header_digest) send_struct(digest_of(std::as_bytes(std::span(&pdu, 1))));
    send_bytes(part);
    if (data_digest) send_struct(digest_of(part));
    offset += static_cast<std::uint32_t>(part.size());
    data = data.subspan(part.size());
  }
}

std::optional<std::vector<std::byte>> FakeConnection::fetch(const spec::Command& command, std::uint32_t length) {
  std::vector<std::byte> data(length);
  std::uint32_t asked = 0;
  std::uint32_t got = 0;
  std::uint32_t outstanding = 0;
  while (got < length) {
    while (asked < length && outstanding < target_.options.r2ts_at_once) {
      tcp::R2t r2t;
      r2t.common.type = PduType::r2t;
      r2t.common.hlen = sizeof r2t;
      const bool digest = target_.options.header_digest;
      r2t.common.flags = digest ? tcp::pdu_flag::header_digest : 0;
      r2t.common.plen = static_cast<std::uint32_t>(sizeof r2t + (digest ? 4 : 0));
      r2t.cccid = command.cid;
      r2t.ttag = static_cast<std::uint16_t>(asked / target_.options.r2t_bytes + 1);
      r2t.r2to = asked;
      r2t.r2tl = std::min(length - asked, target_.options.r2t_bytes);
      asked += r2t.r2tl;
      ++outstanding;
      const std::lock_guard lock(target_.send_mutex_);
      send_struct(r2t);
      if (digest) send_struct(digest_of(std::as_bytes(std::span(&r2t, 1))));
    }
    auto pdu = receive_pdu();
    if (!pdu) return std::nullopt;
    if (pdu->common.type == PduType::capsule_cmd) {
      early_.push_back(std::move(*pdu));
      continue;
    }
    const auto header = pdu->as<tcp::DataPdu>();
    const bool right = pdu->common.type == PduType::h2c_data && header.cccid == command.cid && header.datao == got &&
                       header.datal == pdu->data.size() && header.datal <= target_.options.max_h2c_data &&
                       got + header.datal <= asked && header.ttag == got / target_.options.r2t_bytes + 1;
    if (!right) return std::nullopt;
    std::memcpy(data.data() + got, pdu->data.data(), pdu->data.size());
    got += header.datal;
    if (pdu->common.has(tcp::pdu_flag::last_pdu)) --outstanding;
  }
  return data;
}

// ---- the life of a connection

bool FakeConnection::handshake() {
  const auto pdu = receive_pdu();
  if (!pdu || pdu->common.type != PduType::ic_req) return false;
  if (target_.on_ic_req) {
    target_.on_ic_req(*this);
    return true;
  }
  tcp::IcResp response;
  response.common.type = PduType::ic_resp;
  response.common.hlen = sizeof response;
  response.common.plen = static_cast<std::uint32_t>(sizeof response);
  response.cpda = target_.options.cpda;
  response.dgst = static_cast<std::uint8_t>((target_.options.header_digest ? tcp::dgst_header : 0) |
                                            (target_.options.data_digest ? tcp::dgst_data : 0));
  response.maxh2cdata = target_.options.max_h2c_data;
  send_struct(response);
  digests_on_ = true;
  return true;
}

void FakeConnection::run() {
  if (!handshake()) return hang_up();
  for (;;) {
    std::optional<Pdu> pdu;
    if (!early_.empty()) {
      pdu = std::move(early_.front());
      early_.pop_front();
    } else {
      pdu = receive_pdu();
    }
    if (!pdu) break;
    if (silent_) continue;
    if (pdu->common.type != PduType::capsule_cmd) break;
    const spec::Command command = pdu->as<tcp::CapsuleCmd>().command;
    if (const auto hook = target_.hook(); hook != nullptr && *hook && (*hook)(*this, command)) continue;
    handle(command, pdu->data);
  }
  hang_up();
  const std::lock_guard lock(target_.mutex_);
  std::erase_if(target_.waiting_events_, [this](const auto& waiting) { return waiting.first == this; });
}

}  // namespace spdkio::nvme::test
