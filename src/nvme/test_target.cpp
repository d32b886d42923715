#include "nvme/test_target.hpp"

#include <spdkio/base/crc32c.hpp>
#include <spdkio/spec/fabrics.hpp>
#include <spdkio/spec/identify.hpp>
#include <spdkio/spec/nvm_command.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace spdkio::nvme::test {
namespace {

namespace tcp = spec::tcp;
namespace fabrics = spec::fabrics;
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

// ---- commands

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

void FakeConnection::handle(const spec::Command& command, const std::vector<std::byte>& in_capsule) {
  if (command.opcode == fabrics::opcode) return handle_fabrics(command, in_capsule);
  if (qid_ == 0) return handle_admin(command);
  handle_io(command, in_capsule);
}

void FakeConnection::handle_fabrics(const spec::Command& command, const std::vector<std::byte>& data) {
  switch (fabrics::command_type(command)) {
    case fabrics::CommandType::connect: {
      const auto connect = std::bit_cast<fabrics::ConnectCommand>(command);
      fabrics::ConnectData parameters;
      if (data.size() != sizeof parameters) return respond(command, 0, fabrics::sc::invalid_parameters);
      std::memcpy(&parameters, data.data(), sizeof parameters);
      if (fabrics::field_text(parameters.subnqn) != target_.options.subnqn) {
        return respond(command, fabrics::connect_invalid_parameter(true, 256), fabrics::sc::invalid_parameters);
      }
      qid_ = connect.qid;
      if (qid_ == 0) target_.kato_ms = connect.kato;
      return respond(command, 1);
    }
    case fabrics::CommandType::property_get: {
      const auto get = std::bit_cast<fabrics::PropertyGetCommand>(command);
      switch (get.offset) {
        case fabrics::property::cap:
          return respond(command, 127u | 1u << 16 | 2u << 24, {}, 1u << 5);  // MQES, CQR, TO, NVM command set
        case fabrics::property::vs: return respond(command, 0x00010400);
        case fabrics::property::cc: return respond(command, cc_);
        case fabrics::property::csts: return respond(command, (cc_ & 1) | ((cc_ >> 14 & 3) != 0 ? 2u << 2 : 0));
        default: return respond(command, 0, nvme_sc::invalid_field);
      }
    }
    case fabrics::CommandType::property_set: {
      const auto set = std::bit_cast<fabrics::PropertySetCommand>(command);
      if (set.offset == fabrics::property::cc) cc_ = static_cast<std::uint32_t>(set.value);
      return respond(command);
    }
    default: return respond(command, 0, nvme_sc::invalid_opcode);
  }
}

void FakeConnection::handle_admin(const spec::Command& command) {
  using spec::AdminOpcode;
  std::vector<std::byte> page(4096);
  switch (static_cast<AdminOpcode>(command.opcode)) {
    case AdminOpcode::identify:
      switch (static_cast<spec::Cns>(command.cdw10.value() & 0xFF)) {
        case spec::Cns::controller: {
          spec::IdentifyController data;
          data.cntlid = 1;
          data.mdts = target_.options.mdts;
          data.sn.assign_spaces("FAKE0001");
          data.mn.assign_spaces("fake controller");
          data.kas = 1;
          data.aerl = 3;
          data.nn = 1;
          data.oaes = spec::async_event_config::ns_attributes;
          data.oncs = spec::oncs::compare | spec::oncs::dataset_management | spec::oncs::write_zeroes |
                      spec::oncs::copy | spec::oncs::verify;
          data.fuses = spec::fuses_compare_and_write;
          data.acwu = 7;
          data.ioccsz = (64 + target_.options.in_capsule_bytes) / 16;
          data.iorcsz = 1;
          data.subnqn.assign_zeroes(target_.options.subnqn);
          std::memcpy(page.data(), &data, sizeof data);
          break;
        }
        case spec::Cns::active_ns_list:
          if (command.nsid == 0) page[0] = std::byte{1};
          break;
        case spec::Cns::ns: {
          spec::IdentifyNamespace data;
          {
            const std::lock_guard lock(target_.mutex_);
            data.nsze = target_.storage_.size() / target_.options.block_size;
          }
          data.ncap = data.nsze;
          data.nuse = data.nsze;
          data.lbaf[0].data_log2 = static_cast<std::uint8_t>(std::countr_zero(target_.options.block_size));
          data.nguid[0] = 0x42;
          std::memcpy(page.data(), &data, sizeof data);
          break;
        }
        case spec::Cns::ns_id_descriptors:
          page[0] = std::byte{3};  // UUID
          page[1] = std::byte{16};
          page[4] = std::byte{0xAB};
          break;
        default: return respond(command, 0, nvme_sc::invalid_field);
      }
      send_data(command, page, false);
      return respond(command);
    case AdminOpcode::set_features:
      if ((command.cdw10.value() & 0xFF) == static_cast<std::uint32_t>(spec::Feature::number_of_queues)) {
        const std::uint32_t granted = target_.options.max_io_queues - 1u;
        return respond(command, granted | granted << 16);
      }
      return respond(command);
    case AdminOpcode::get_features: return respond(command, 0x1234);
    case AdminOpcode::get_log_page: {
      const auto bytes = static_cast<std::size_t>(
          ((command.cdw10.value() >> 16) | (std::uint64_t{command.cdw11.value() & 0xFFFF} << 16)) * 4 + 4);
      page.resize(bytes);
      send_data(command, page, false);
      return respond(command);
    }
    case AdminOpcode::async_event_request: {
      const std::lock_guard lock(target_.mutex_);
      target_.waiting_events_.emplace_back(this, command.cid);
      return;
    }
    case AdminOpcode::keep_alive: ++target_.keep_alives; return respond(command);
    case AdminOpcode::abort: ++target_.aborts; return respond(command, 1);
    default: return respond(command, 0, nvme_sc::invalid_opcode);
  }
}

void FakeConnection::handle_io(const spec::Command& command, const std::vector<std::byte>& in_capsule) {
  using spec::NvmOpcode;
  const LbaRange range = spec::nvm::range_of(command);
  const std::uint32_t block = target_.options.block_size;
  const std::size_t bytes = range.count.value * block;
  const std::size_t offset = range.first.value * block;
  const auto fits = [&] { return range.fits(BlockCount{target_.storage_.size() / block}); };
  const auto data_of = [&](std::uint32_t length) -> std::optional<std::vector<std::byte>> {
    if (command.sgl().sub_type() == spec::SglSubType::offset) return in_capsule;
    return fetch(command, length);
  };
  switch (static_cast<NvmOpcode>(command.opcode)) {
    case NvmOpcode::read: {
      std::vector<std::byte> data;
      {
        const std::lock_guard lock(target_.mutex_);
        if (!fits()) return respond(command, 0, nvme_sc::lba_out_of_range);
        data.assign(target_.storage_.begin() + static_cast<std::ptrdiff_t>(offset),
                    target_.storage_.begin() + static_cast<std::ptrdiff_t>(offset + bytes));
      }
      send_data(command, data, target_.options.c2h_success);
      if (!target_.options.c2h_success) respond(command);
      return;
    }
    case NvmOpcode::write:
    case NvmOpcode::compare: {
      const auto data = data_of(static_cast<std::uint32_t>(bytes));
      if (!data || data->size() != bytes) return hang_up();
      const std::lock_guard lock(target_.mutex_);
      if (!fits()) return respond(command, 0, nvme_sc::lba_out_of_range);
      if (static_cast<NvmOpcode>(command.opcode) == NvmOpcode::compare) {
        const bool same = std::memcmp(target_.storage_.data() + offset, data->data(), bytes) == 0;
        return respond(command, 0, same ? NvmeStatus{} : nvme_sc::compare_failure);
      }
      ++target_.writes;
      std::memcpy(target_.storage_.data() + offset, data->data(), bytes);
      return respond(command);
    }
    case NvmOpcode::write_zeroes: {
      const std::lock_guard lock(target_.mutex_);
      if (!fits()) return respond(command, 0, nvme_sc::lba_out_of_range);
      std::memset(target_.storage_.data() + offset, 0, bytes);
      return respond(command);
    }
    case NvmOpcode::dataset_management:
    case NvmOpcode::copy: {
      const bool copying = static_cast<NvmOpcode>(command.opcode) == NvmOpcode::copy;
      const std::uint32_t entries = copying ? (command.cdw12.value() & 0xFF) + 1 : (command.cdw10.value() & 0xFF) + 1;
      const std::size_t entry_bytes = copying ? sizeof(spec::CopyRange) : sizeof(spec::DsmRange);
      const auto data = data_of(static_cast<std::uint32_t>(entries * entry_bytes));
      if (!data || data->size() != entries * entry_bytes) return hang_up();
      const std::lock_guard lock(target_.mutex_);
      std::size_t to = command.cdw10_11() * block;
      for (std::uint32_t i = 0; i < entries; ++i) {
        if (copying) {
          spec::CopyRange entry;
          std::memcpy(&entry, data->data() + i * entry_bytes, sizeof entry);
          const std::size_t length = (entry.blocks + 1u) * block;
          std::memmove(target_.storage_.data() + to, target_.storage_.data() + entry.lba * block, length);
          to += length;
        } else {
          spec::DsmRange entry;
          std::memcpy(&entry, data->data() + i * entry_bytes, sizeof entry);
          std::memset(target_.storage_.data() + entry.lba * block, 0, std::size_t{entry.blocks} * block);
        }
      }
      return respond(command);
    }
    case NvmOpcode::flush:
    case NvmOpcode::verify: return respond(command);
    default: return respond(command, 0, nvme_sc::invalid_opcode);
  }
}

// ---- the target

FakeTarget::FakeTarget(FakeTargetOptions given)
    : options(std::move(given)), wake_(::eventfd(0, EFD_CLOEXEC)), storage_(options.num_blocks * options.block_size) {
  listen_again();
  acceptor_ = std::thread([this] { accept_loop(); });
}

FakeTarget::~FakeTarget() {
  ending_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
  acceptor_.join();
  drop_connections();
  for (std::thread& thread : threads_) thread.join();
}

void FakeTarget::listen_again() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port_);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd.get(), 64) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no port for the fake target");
  }
  port_ = ntohs(address.sin_port);
  listener_ = std::move(fd);
}

void FakeTarget::accept_loop() {
  while (!ending_) {
    pollfd fds[2] = {{listener_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    ::poll(fds, 2, -1);
    if (ending_) return;
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd || !accepting_) continue;
    ++connections;
    auto connection = std::make_shared<FakeConnection>(*this, std::move(fd));
    const std::lock_guard lock(mutex_);
    open_.push_back(connection);
    threads_.emplace_back([connection] { connection->run(); });
  }
}

void FakeTarget::drop_connections() {
  const std::lock_guard lock(mutex_);
  for (const auto& connection : open_) connection->hang_up();
  open_.clear();
}

void FakeTarget::set_hook(Hook hook) {
  auto shared = std::make_shared<const Hook>(std::move(hook));
  const std::lock_guard lock(mutex_);
  hook_ = std::move(shared);
}

std::shared_ptr<const FakeTarget::Hook> FakeTarget::hook() {
  const std::lock_guard lock(mutex_);
  return hook_;
}

void FakeTarget::set_accepting(bool accepting) { accepting_ = accepting; }

bool FakeTarget::raise_event(spec::AsyncEvent event) {
  std::shared_ptr<FakeConnection> connection;
  spec::Command command;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_events_.empty()) return false;
    const auto [waiting, cid] = waiting_events_.back();
    waiting_events_.pop_back();
    const auto found = std::ranges::find_if(open_, [&](const auto& open) { return open.get() == waiting; });
    if (found == open_.end()) return false;
    connection = *found;
    command.cid = cid;
  }
  connection->respond(command, event.encode());
  return true;
}

void FakeTarget::resize(std::uint64_t num_blocks) {
  const std::lock_guard lock(mutex_);
  storage_.resize(num_blocks * options.block_size);
}

std::vector<std::byte> FakeTarget::content(std::uint64_t offset, std::size_t length) {
  const std::lock_guard lock(mutex_);
  const auto at = storage_.begin() + static_cast<std::ptrdiff_t>(offset);
  return {at, at + static_cast<std::ptrdiff_t>(length)};
}

}  // namespace spdkio::nvme::test
