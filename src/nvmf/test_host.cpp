#include "nvmf/test_host.hpp"

#include <spdkio/base/crc32c.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace spdkio::nvmf::test {

using namespace spec::tcp;

namespace {

constexpr int patience_s = 10;

Bytes with_digest(std::span<const std::byte> bytes) {
  Bytes out(bytes.begin(), bytes.end());
  const spec::Le32 crc = crc32c(bytes);
  const auto* const at = reinterpret_cast<const std::byte*>(&crc);
  out.insert(out.end(), at, at + sizeof crc);
  return out;
}

}  // namespace

RawHost::RawHost(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    throw std::system_error(errno, std::generic_category(), "connect");
  }
  const timeval limit{.tv_sec = patience_s, .tv_usec = 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void RawHost::send(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) throw std::system_error(errno, std::generic_category(), "send");
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
}

void RawHost::send_pdu(PduType type, std::span<const std::byte> rest_of_header, std::span<const std::byte> data,
                       std::uint8_t flags) {
  CommonHeader common;
  common.type = type;
  common.hlen = static_cast<std::uint8_t>(sizeof common + rest_of_header.size());
  const std::size_t head = common.hlen + (header_digest ? digest_size : 0);
  const bool has_data = !data.empty();
  common.pdo = has_data ? static_cast<std::uint8_t>(head) : 0;
  common.plen = static_cast<std::uint32_t>(head + data.size() + (has_data && data_digest ? digest_size : 0));
  common.flags = static_cast<std::uint8_t>(flags | (header_digest ? pdu_flag::header_digest : 0) |
                                           (has_data && data_digest ? pdu_flag::data_digest : 0));
  Bytes all(sizeof common);
  std::memcpy(all.data(), &common, sizeof common);
  all.insert(all.end(), rest_of_header.begin(), rest_of_header.end());
  if (header_digest) all = with_digest(all);
  if (has_data) {
    const Bytes tail = data_digest ? with_digest(data) : Bytes(data.begin(), data.end());
    all.insert(all.end(), tail.begin(), tail.end());
  }
  send(all);
}

bool RawHost::read_exactly(std::span<std::byte> into) {
  while (!into.empty()) {
    const ssize_t length = ::recv(fd_.get(), into.data(), into.size(), 0);
    if (length == 0 || (length < 0 && errno == ECONNRESET)) return false;
    if (length < 0) throw std::system_error(errno, std::generic_category(), "the target did not answer");
    into = into.subspan(static_cast<std::size_t>(length));
  }
  return true;
}

std::optional<Pdu> RawHost::receive() {
  Pdu pdu;
  pdu.header.resize(sizeof(CommonHeader));
  if (!read_exactly(pdu.header)) return std::nullopt;
  const CommonHeader common = pdu.common();
  pdu.header.resize(common.hlen);
  if (!read_exactly(std::span(pdu.header).subspan(sizeof common))) return std::nullopt;
  Bytes rest(common.plen.value() - common.hlen);
  if (!read_exactly(rest)) return std::nullopt;
  if (common.has(pdu_flag::header_digest)) {
    spec::Le32 crc;
    std::memcpy(&crc, rest.data(), sizeof crc);
    pdu.digests_right = crc.value() == crc32c(pdu.header);
  }
  if (common.type == PduType::c2h_term_req) {
    pdu.data = rest;
  } else if (common.pdo != 0) {
    const std::size_t trailer = common.has(pdu_flag::data_digest) ? digest_size : 0;
    pdu.data.assign(rest.begin() + (common.pdo - common.hlen), rest.end() - static_cast<std::ptrdiff_t>(trailer));
    if (trailer != 0) {
      spec::Le32 crc;
      std::memcpy(&crc, rest.data() + rest.size() - trailer, sizeof crc);
      pdu.digests_right = pdu.digests_right && crc.value() == crc32c(pdu.data);
    }
  }
  return pdu;
}

bool RawHost::closed_by_target() {
  std::array<std::byte, 4096> dropped;
  while (true) {
    const ssize_t length = ::recv(fd_.get(), dropped.data(), dropped.size(), 0);
    if (length == 0 || (length < 0 && errno == ECONNRESET)) return true;
    if (length < 0) return false;
  }
}

void RawHost::finish_sending() { ::shutdown(fd_.get(), SHUT_WR); }

std::optional<Pdu> RawHost::handshake(std::uint8_t digests, std::uint8_t hpda) {
  IcReq request;
  request.common.type = PduType::ic_req;
  request.common.hlen = sizeof request;
  request.common.plen = static_cast<std::uint32_t>(sizeof request);
  request.hpda = hpda;
  request.dgst = digests;
  send(request);
  auto answer = receive();
  if (answer && answer->type() == PduType::ic_resp) {
    header_digest = (answer->as<IcResp>().dgst & dgst_header) != 0;
    data_digest = (answer->as<IcResp>().dgst & dgst_data) != 0;
    max_h2c = answer->as<IcResp>().maxh2cdata;
  }
  return answer;
}

std::uint16_t RawHost::submit(spec::Command command, std::span<const std::byte> capsule_data) {
  command.cid = next_cid++;
  send_pdu(PduType::capsule_cmd, std::as_bytes(std::span<const spec::Command, 1>(&command, 1)), capsule_data);
  return command.cid;
}

RawHost::Partial& RawHost::partial(std::uint16_t cid) {
  const auto found = std::ranges::find(partials_, cid, &Partial::cid);
  if (found != partials_.end()) return *found;
  partials_.push_back({.cid = cid, .answer = {}, .done = false});
  return partials_.back();
}

void RawHost::send_h2c(std::uint16_t cid, std::uint16_t ttag, std::uint32_t offset, std::span<const std::byte> data,
                       bool last) {
  DataPdu pdu;
  pdu.cccid = cid;
  pdu.ttag = ttag;
  pdu.datao = offset;
  pdu.datal = static_cast<std::uint32_t>(data.size());
  const auto bytes = std::as_bytes(std::span<const DataPdu, 1>(&pdu, 1));
  send_pdu(PduType::h2c_data, bytes.subspan(sizeof(CommonHeader)), data, last ? pdu_flag::last_pdu : 0);
}

Answer RawHost::wait(std::uint16_t cid, std::span<const std::byte> r2t_data) {
  while (!partial(cid).done) {
    const auto pdu = receive();
    if (!pdu) throw std::runtime_error("the target closed the connection");
    if (!pdu->digests_right) throw std::runtime_error("wrong digest");
    switch (pdu->type()) {
      case PduType::capsule_resp: {
        Partial& one = partial(pdu->as<CapsuleResp>().completion.cid);
        one.answer.completion = pdu->as<CapsuleResp>().completion;
        one.done = true;
        break;
      }
      case PduType::c2h_data: {
        const auto& data = pdu->as<DataPdu>();
        Partial& one = partial(data.cccid);
        one.answer.data.resize(std::max<std::size_t>(one.answer.data.size(), data.datao.value() + pdu->data.size()));
        std::ranges::copy(pdu->data, one.answer.data.begin() + data.datao.value());
        if (data.common.has(pdu_flag::success)) {
          one.answer.completion.cid = data.cccid;
          one.done = true;
        }
        break;
      }
      case PduType::r2t: {
        const auto& r2t = pdu->as<R2t>();
        ++partial(r2t.cccid).answer.r2ts;
        if (r2t.cccid != cid) throw std::runtime_error("R2T for another command");
        const auto part = r2t_data.subspan(r2t.r2to, r2t.r2tl);
        for (std::uint32_t at = 0; at < part.size();) {
          const auto size = std::min<std::size_t>(max_h2c, part.size() - at);
          send_h2c(cid, r2t.ttag, r2t.r2to.value() + at, part.subspan(at, size), at + size == part.size());
          at += static_cast<std::uint32_t>(size);
        }
        break;
      }
      default: throw std::runtime_error("unexpected " + std::string(to_string(pdu->type())));
    }
  }
  const auto found = std::ranges::find(partials_, cid, &Partial::cid);
  Answer answer = std::move(found->answer);
  partials_.erase(found);
  return answer;
}

Answer RawHost::run(spec::Command command, std::span<const std::byte> capsule_data, std::uint32_t expected,
                    std::span<const std::byte> r2t_data) {
  command.flags |= 0x40;
  if (!capsule_data.empty()) {
    command.set_sgl(spec::SglDescriptor::in_capsule(0, static_cast<std::uint32_t>(capsule_data.size())));
  } else if (!r2t_data.empty()) {
    command.set_sgl(spec::SglDescriptor::transport_data(static_cast<std::uint32_t>(r2t_data.size())));
  } else if (command.opcode != spec::fabrics::opcode || expected != 0) {
    command.set_sgl(spec::SglDescriptor::transport_data(expected));
  }
  return wait(submit(command, capsule_data), r2t_data);
}

Answer RawHost::connect_queue(std::uint16_t qid, std::uint16_t sqsize, std::uint16_t cntlid, const std::string& subnqn,
                              const std::string& hostnqn, std::uint32_t kato) {
  spec::fabrics::ConnectCommand connect;
  connect.qid = qid;
  connect.sqsize = sqsize;
  connect.kato = kato;
  spec::fabrics::ConnectData data;
  data.hostid.fill(0x42);
  data.cntlid = cntlid;
  spec::fabrics::set_field_text(data.subnqn, subnqn);
  spec::fabrics::set_field_text(data.hostnqn, hostnqn);
  connect.sgl = spec::SglDescriptor::in_capsule(0, sizeof data);
  const auto command = std::bit_cast<spec::Command>(connect);
  return wait(submit(command, std::as_bytes(std::span<const spec::fabrics::ConnectData, 1>(&data, 1))));
}

std::uint64_t RawHost::property(std::uint32_t offset, bool eight_bytes) {
  spec::fabrics::PropertyGetCommand get;
  get.attrib = eight_bytes ? 1 : 0;
  get.offset = offset;
  const Answer answer = wait(submit(std::bit_cast<spec::Command>(get)));
  if (!answer.status().ok()) throw std::runtime_error("Property Get: " + answer.status().describe());
  return answer.completion.dw0_1();
}

Answer RawHost::set_property(std::uint32_t offset, std::uint64_t value) {
  spec::fabrics::PropertySetCommand set;
  set.offset = offset;
  set.value = value;
  return wait(submit(std::bit_cast<spec::Command>(set)));
}

}  // namespace spdkio::nvmf::test
