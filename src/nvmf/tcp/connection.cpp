#include "nvmf/tcp/connection.hpp"

#include <spdkio/base/clock.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/base/probe.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "nvme/tcp/socket_address.hpp"
#include "nvme/tcp/socket_options.hpp"
#include "nvmf/poll_group.hpp"
#include "nvmf/target_state.hpp"

namespace spdkio::nvmf::tcp {

using nvme::tcp::Accept;
using nvme::tcp::DataTarget;
using nvme::tcp::ReceiveStatus;
using spdkio::detail::ThreadCore;
using spec::tcp::CommonHeader;
using spec::tcp::FatalError;
using spec::tcp::PduType;
namespace pdu_flag = spec::tcp::pdu_flag;

namespace {

/// In-capsule data of admin queues, as the TCP transport fixes it.
constexpr std::uint32_t admin_capsule_data = 8192;
/// For Connect; the queue's own come with its size.
constexpr std::size_t requests_before_connect = 2;
/// How long a host may take to close after it was told why.
constexpr std::chrono::seconds time_to_close{5};

}  // namespace

void Connection::adopt(PollGroup& group, UniqueFd fd, nvme::TransportId listener) noexcept {
  try {
    group.adopt(std::make_unique<Connection>(group, std::move(fd), std::move(listener)));
  } catch (const std::exception& error) {
    log::warn("nvmf: a connection can't be served: {}", error.what());
    group.connection_lost();
  }
}

Connection::Connection(PollGroup& group, UniqueFd fd, nvme::TransportId listener)
    : Queue(group),
      fd_(std::move(fd)),
      listener_(std::move(listener)),
      peer_(nvme::tcp::SocketAddress::of_peer(fd_.get()).to_string()),
      local_address_(nvme::tcp::SocketAddress::of_socket(fd_.get()).host()),
      deadline_ticks_(ticks_after(ThreadCore::current()->batch_ticks(), group.transport().connect_timeout)),
      reader_({.from_host = true}) {
  const TransportSettings& transport = group.transport();
  nvme::tcp::apply_socket_options(
      fd_.get(), listener_.adrfam == nvme::AddressFamily::ipv6 ? AF_INET6 : AF_INET,
      {.congestion_control = transport.congestion_control_text, .priority = transport.sock_priority});
  flush_later_.connection = this;
  flush_later_.run = [](spdkio::detail::Deferred& work) noexcept -> std::size_t {
    static_cast<FlushLater&>(work).connection->flush();
    return 1;
  };
  capsule_waiter_.connection = this;
  capsule_waiter_.buffer_free = [](BufferWaiter& waiter) noexcept {
    Connection& self = *static_cast<CapsuleWaiter&>(waiter).connection;
    self.batching_ = true;
    const ReceiveStatus status = self.reader_.resume(self);
    self.batching_ = false;
    if (!self.reader_.waits_for_room()) self.group().sockets().want_read(self, true);
    self.after_receive(status);
  };
  add_requests(requests_before_connect);
  group.sockets().add(*this, fd_.get());
}

Connection::~Connection() = default;

// ---- the socket

bool Connection::on_poll() noexcept {
  if (state_ == State::terminating) return drop_input();
  batching_ = true;
  const ReceiveStatus status = reader_.receive(fd_.get(), group().sockets().receive_buffer(), *this);
  batching_ = false;
  if (status == ReceiveStatus::nothing) return false;
  after_receive(status);
  return true;
}

void Connection::after_receive(ReceiveStatus status) noexcept {
  switch (status) {
    case ReceiveStatus::closed: return close("the host has closed the connection");
    case ReceiveStatus::failed: return close(std::strerror(reader_.receive_errno()));
    default: break;
  }
  if (reader_.waits_for_room() && fd() >= 0) group().sockets().want_read(*this, false);
  flush();
}

bool Connection::drop_input() noexcept {
  const auto buffer = group().sockets().receive_buffer();
  const ssize_t length = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (length > 0) return true;
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  close("the host has closed the connection");
  return true;
}

void Connection::flush() noexcept {
  if (state_ == State::closed) return;
  if (sends_.empty() && !wants_write_) return;
  const nvme::tcp::SendStatus status = sends_.flush(fd_.get());
  if (status == nvme::tcp::SendStatus::failed) return close(std::strerror(sends_.send_errno()));
  const bool blocked = status == nvme::tcp::SendStatus::blocked;
  if (blocked != wants_write_) {
    wants_write_ = blocked;
    group().sockets().want_write(*this, blocked);
  }
  if (!blocked && state_ == State::terminating) ::shutdown(fd_.get(), SHUT_WR);
}

void Connection::close(std::string_view why) noexcept {
  if (state_ == State::closed) return;
  log::debug("nvmf: connection {} of {} closed: {}", id(), peer_, why);
  if (connected() && qid() == 0) {
    log::info("nvmf: controller {} of {} for {} ended: {}", controller()->cntlid(), controller()->host().subnqn,
              controller()->host().hostnqn, why);
  }
  state_ = State::closed;
  group().sockets().remove(*this);
  group().buffers().stop_waiting(capsule_waiter_);
  sends_.clear();
  fd_.reset();
  abandon_requests(true);
}

void Connection::housekeeping(std::uint64_t now_ticks) noexcept {
  if (state_ == State::closed) return;
  if (state_ == State::terminating || !connected()) {
    if (now_ticks > deadline_ticks_) {
      close(state_ == State::terminating ? "the host did not close it in time" : "no Connect command came in time");
    }
    return;
  }
  if (qid() != 0) return;
  Controller& owner = *controller();
  if (owner.keep_alive_ms == 0) return;
  const std::chrono::milliseconds limit{std::uint64_t{owner.keep_alive_ms} + keep_alive_granularity_ms};
  if (now_ticks > ticks_after(owner.last_seen_ticks, limit)) {
    owner.keep_alive_expired = true;
    close("the keep-alive timer has expired");
  }
}

ConnectionStats Connection::stats() const {
  const QueueCounters& seen = counters();
  ConnectionStats stats;
  stats.id = id();
  if (connected()) {
    stats.subnqn = controller()->host().subnqn;
    stats.hostnqn = controller()->host().hostnqn;
    stats.cntlid = controller()->cntlid();
  }
  stats.qid = qid();
  stats.queue_depth = static_cast<std::uint32_t>(requests_.size());
  stats.peer = peer_;
  stats.local = local_address_;
  stats.thread = group().name();
  stats.header_digest = header_digest_;
  stats.data_digest = data_digest_;
  stats.commands = seen.commands;
  stats.read_commands = seen.read_commands;
  stats.write_commands = seen.write_commands;
  stats.bytes_read = seen.bytes_read;
  stats.bytes_written = seen.bytes_written;
  stats.errors = seen.errors;
  stats.digest_errors = seen.digest_errors;
  stats.bytes_received = reader_.bytes_received();
  stats.bytes_sent = sends_.bytes_sent();
  stats.in_flight = in_flight();
  return stats;
}

// ---- what comes in

Accept Connection::violate(FatalError error, std::uint32_t information, const CommonHeader& header) noexcept {
  protocol_violated({error, information}, {reinterpret_cast<const std::byte*>(&header), header.hlen});
  return Accept::stop;
}

void Connection::protocol_violated(spec::tcp::Violation violation, std::span<const std::byte> header) noexcept {
  log::warn("nvmf: connection of {} terminated: {} (FEI {:#x}) in {}", peer_, to_string(violation.error),
            violation.information, to_string(static_cast<PduType>(header[0])));
  group().count_protocol_error();
  const std::size_t copied = std::min(header.size(), spec::tcp::max_term_req_data);
  spec::tcp::TermReq term;
  term.common.type = PduType::c2h_term_req;
  term.common.hlen = sizeof term;
  term.common.plen = static_cast<std::uint32_t>(sizeof term + copied);
  term.fes = static_cast<std::uint16_t>(violation.error);
  term.fei = violation.information;
  std::byte* const at = sends_.add_header(sizeof term + copied);
  std::memcpy(at, &term, sizeof term);
  std::memcpy(at + sizeof term, header.data(), copied);
  state_ = State::terminating;
  deadline_ticks_ = ticks_after(ThreadCore::current()->batch_ticks(), time_to_close);
  abandon_requests(false);
}

Accept Connection::pdu_announced(const CommonHeader& header, std::uint32_t data_bytes, DataTarget& target) noexcept {
  switch (header.type) {
    case PduType::ic_req:
      if (state_ != State::handshake) return violate(FatalError::sequence_error, 0, header);
      return Accept::yes;
    case PduType::capsule_cmd:
      if (state_ != State::open) return violate(FatalError::sequence_error, 0, header);
      return capsule_announced(reinterpret_cast<const spec::tcp::CapsuleCmd&>(header), data_bytes, target);
    case PduType::h2c_data:
      if (state_ != State::open) return violate(FatalError::sequence_error, 0, header);
      return data_announced(reinterpret_cast<const spec::tcp::DataPdu&>(header), data_bytes, target);
    case PduType::h2c_term_req: {
      const auto& term = reinterpret_cast<const spec::tcp::TermReq&>(header);
      log::warn("nvmf: the host {} terminates its connection: {} (FEI {:#x})", peer_,
                to_string(static_cast<FatalError>(term.fes.value())), term.fei.value());
      close("the host has terminated it");
      return Accept::stop;
    }
    default: return violate(FatalError::invalid_header_field, spec::tcp::offset_of_type, header);
  }
}

bool Connection::pdu_complete(const CommonHeader& header, bool data_digest_right) noexcept {
  SPDKIO_PROBE(nvmf_tcp_pdu_received, this, static_cast<int>(header.type), header.plen.value());
  switch (header.type) {
    case PduType::ic_req: return handshake(reinterpret_cast<const spec::tcp::IcReq&>(header));
    case PduType::capsule_cmd: {
      Request& request = *std::exchange(capsule_, nullptr);
      const auto capsule_bytes = static_cast<std::uint32_t>(request.data.size());
      if (!data_digest_right) {
        ++counters_.digest_errors;
        request.failure = sc::transient_transport_error;
      }
      capsule_received(request, capsule_bytes);
      break;
    }
    case PduType::h2c_data: {
      const auto& pdu = reinterpret_cast<const spec::tcp::DataPdu&>(header);
      Request& request = *requests_[pdu.ttag];
      request.received += pdu.datal;
      if (!data_digest_right) {
        ++counters_.digest_errors;
        if (!request.has_failure()) request.failure = sc::transient_transport_error;
      }
      if (request.received == request.host_to_controller) data_received(request);
      break;
    }
    default: break;
  }
  return state_ == State::open;
}

bool Connection::handshake(const spec::tcp::IcReq& request) noexcept {
  const TransportSettings& transport = group().transport();
  if (request.pfv.value() != spec::tcp::format_version) {
    violate(FatalError::unsupported_parameter, offsetof(spec::tcp::IcReq, pfv), request.common);
    return false;
  }
  if (request.hpda > spec::tcp::max_pda) {
    violate(FatalError::invalid_header_field, offsetof(spec::tcp::IcReq, hpda), request.common);
    return false;
  }
  host_alignment_ = spec::tcp::pda_bytes(request.hpda);
  header_digest_ = (request.dgst & spec::tcp::dgst_header) != 0 && transport.allow_header_digest;
  data_digest_ = (request.dgst & spec::tcp::dgst_data) != 0 && transport.allow_data_digest;
  spec::tcp::IcResp response;
  response.common.type = PduType::ic_resp;
  response.common.hlen = sizeof response;
  response.common.plen = static_cast<std::uint32_t>(sizeof response);
  response.pfv = spec::tcp::format_version;
  response.dgst = static_cast<std::uint8_t>((header_digest_ ? spec::tcp::dgst_header : 0) |
                                            (data_digest_ ? spec::tcp::dgst_data : 0));
  response.maxh2cdata = transport.max_io_size;
  std::memcpy(sends_.add_header(sizeof response), &response, sizeof response);
  state_ = State::open;
  reader_.set_rules({.from_host = true,
                     .header_digest = header_digest_,
                     .data_digest = data_digest_,
                     .max_capsule_data = std::max(admin_capsule_data, transport.in_capsule_data_size),
                     .max_data = transport.max_io_size});
  return true;
}

Accept Connection::capsule_announced(const spec::tcp::CapsuleCmd& capsule, std::uint32_t data_bytes,
                                     DataTarget& target) noexcept {
  if (capsule_ == nullptr) {
    capsule_ = take_request();
    if (capsule_ == nullptr)
      return violate(FatalError::sequence_error, 0, capsule.common);  // more than the queue holds
    Request& request = *capsule_;
    request.command = capsule.command;
    if (cids_ != nullptr) {
      auto bit = (*cids_)[request.command.cid];
      if (bit && !forget_async_event_request(request.command.cid)) {
        request.failure = sc::cid_conflict;
        request.owns_cid = false;
      }
      bit = true;
    }
  }
  if (data_bytes == 0) return Accept::yes;
  capsule_->buffer = group().buffers().take(data_bytes);
  if (!capsule_->buffer) {
    group().buffers().wait(capsule_waiter_, data_bytes);
    return Accept::later;
  }
  capsule_->data = DmaSpan::from_registered(capsule_->buffer.data, data_bytes);
  target.spans = {&capsule_->data, 1};
  return Accept::yes;
}

Accept Connection::data_announced(const spec::tcp::DataPdu& pdu, std::uint32_t data_bytes,
                                  DataTarget& target) noexcept {
  using spec::tcp::DataPdu;
  const std::uint16_t tag = pdu.ttag;
  if (tag >= requests_.size() || requests_[tag]->stage != Stage::transfer) {
    return violate(FatalError::invalid_header_field, offsetof(DataPdu, ttag), pdu.common);
  }
  Request& request = *requests_[tag];
  if (request.command.cid != pdu.cccid) {
    return violate(FatalError::invalid_header_field, offsetof(DataPdu, cccid), pdu.common);
  }
  if (pdu.datal.value() != data_bytes) {
    return violate(FatalError::invalid_header_field, offsetof(DataPdu, datal), pdu.common);
  }
  if (pdu.datao.value() != request.received || data_bytes > request.host_to_controller - request.received) {
    return violate(FatalError::data_out_of_range, 0, pdu.common);
  }
  const bool last = request.received + data_bytes == request.host_to_controller;
  if (pdu.common.has(pdu_flag::last_pdu) && !last) return violate(FatalError::sequence_error, 0, pdu.common);
  target.spans = {&request.data, 1};
  target.offset = request.received;
  return Accept::yes;
}

// ---- requests

void Connection::on_connected(std::uint32_t entries) {
  if (requests_.size() < entries) add_requests(entries - requests_.size());
  cids_ = std::make_unique<std::bitset<65536>>();
  for (const Request* request : requests_) {
    if (request->stage != Stage::free) cids_->set(request->command.cid);
  }
  if (qid() == 0) return;
  spec::tcp::ReceiveRules rules = reader_.rules();
  rules.max_capsule_data = group().transport().in_capsule_data_size;
  reader_.set_rules(rules);
}

void Connection::add_requests(std::size_t count) {
  auto block = std::make_unique<Request[]>(count);
  requests_.reserve(requests_.size() + count);
  for (std::size_t i = 0; i < count; ++i) {
    Request& request = block[i];
    request.queue = this;
    request.index = static_cast<std::uint16_t>(requests_.size());
    requests_.push_back(&request);
    request.next_request = std::exchange(free_, &request);
  }
  request_blocks_.push_back(std::move(block));
}

Request* Connection::take_request() noexcept {
  Request* const request = free_;
  if (request == nullptr) return nullptr;
  free_ = request->next_request;
  request->stage = Stage::receiving;
  request->completion = {};
  request->failure = {};
  request->data = {};
  request->host_to_controller = request->received = request->controller_to_host = 0;
  request->pieces_left = 0;
  request->fua = false;
  request->aborting = false;
  request->owns_cid = true;
  request->fused = 0;
  request->partner = nullptr;
  ++in_flight_;
  return request;
}

void Connection::free_request(Request& request) noexcept {
  if (request.buffer) group().buffers().give(std::exchange(request.buffer, {}));
  if (cids_ != nullptr && request.owns_cid) cids_->reset(request.command.cid);
  request.stage = Stage::free;
  request.next_request = free_;
  free_ = &request;
  --in_flight_;
  if (in_flight_ == 0) [[unlikely]]
    end_if_idle();
}

void Connection::abandon_requests(bool also_responding) noexcept {
  ++in_flight_;  // nothing ends before the loop does
  if (capsule_ != nullptr) group().buffers().stop_waiting(capsule_waiter_);
  capsule_ = nullptr;
  for (Request* const request : requests_) {
    if (request->stage == Stage::responding && !also_responding) continue;
    give_up_waiting(*request);
  }
  --in_flight_;
  end_if_idle();
}

void Connection::end_if_idle() noexcept {
  if (state_ != State::closed || in_flight_ != 0 || retired_) return;
  retired_ = true;
  detach();
  group().retire(*this);
}

}  // namespace spdkio::nvmf::tcp
