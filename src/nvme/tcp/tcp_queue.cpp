#include "nvme/tcp/tcp_queue.hpp"

#include <spdkio/base/crc32c.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/base/probe.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <sys/socket.h>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

namespace spdkio::nvme::tcp {
namespace {

using spec::tcp::CommonHeader;
using spec::tcp::FatalError;
using spec::tcp::PduType;
namespace pdu_flag = spec::tcp::pdu_flag;

constexpr std::uint16_t no_slot = 0xFFFF;
/// In-capsule data of admin and Fabrics commands, whatever the controller says of I/O commands (TCP transport
/// specification).
constexpr std::uint32_t fabrics_in_capsule_bytes = 8192;

std::span<const std::byte> bytes_of(const auto& pdu) noexcept { return std::as_bytes(std::span(&pdu, 1)); }

/// The CRC of a part of a scatter list.
std::uint32_t crc_of(DmaSpans spans, std::uint64_t offset, std::uint64_t length) noexcept {
  std::uint32_t crc = 0;
  for (const DmaSpan& span : spans) {
    if (length == 0) break;
    if (offset >= span.size()) {
      offset -= span.size();
      continue;
    }
    const std::size_t part = static_cast<std::size_t>(std::min<std::uint64_t>(span.size() - offset, length));
    crc = crc32c(crc, std::span<const std::byte>(span.data() + offset, part));
    offset = 0;
    length -= part;
  }
  return crc;
}

void store_digest(std::byte* at, std::uint32_t crc) noexcept {
  const spec::Le32 value = crc;
  std::memcpy(at, &value, sizeof value);
}

}  // namespace

TcpQueue::TcpQueue(std::string device, const QueueParameters& parameters, QueueEvents& events)
    : device_(std::move(device)),
      parameters_(parameters),
      events_(events),
      core_(&spdkio::detail::ThreadCore::require_current("nvme connection")),
      group_(SocketGroup::current()),
      reader_(spec::tcp::ReceiveRules{}),
      slots_(std::max(parameters.entries, 2u) - 1) {
  capacity_ = static_cast<std::uint32_t>(slots_.size());
  index_mask_ = static_cast<std::uint16_t>(std::bit_ceil(slots_.size()) - 1);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    slot.queue = this;
    slot.sent = on_sent;
    slot.cid = static_cast<std::uint16_t>(i);
    slot.next_free = i + 1 < slots_.size() ? static_cast<std::uint16_t>(i + 1) : no_slot;
  }
  flush_.queue = this;
  flush_.run = [](spdkio::detail::Deferred& work) noexcept {
    TcpQueue& self = *static_cast<Flush&>(work).queue;
    self.flush();
    return std::size_t{1};
  };
}

TcpQueue::~TcpQueue() {
  if (in_group_) group_->remove(*this);
}

// ---- handshake

Task<> TcpQueue::handshake(UniqueFd fd, HandshakeOptions options) {
  fd_ = std::move(fd);
  asked_ = options;
  group_->add(*this, fd_.get());
  in_group_ = true;
  send_ic_req(options);
  flush();
  co_await handshake_done_.wait();
  if (failure_) throw *failure_;
}

void TcpQueue::hand_over() noexcept {
  handed_over_ = true;
  if (!parameters_.poll && in_group_) {
    group_->remove(*this);
    in_group_ = false;
  }
}

void TcpQueue::send_ic_req(HandshakeOptions options) {
  spec::tcp::IcReq request;
  request.common.type = PduType::ic_req;
  request.common.hlen = sizeof request;
  request.common.plen = static_cast<std::uint32_t>(sizeof request);
  request.dgst = static_cast<std::uint8_t>((options.header_digest ? spec::tcp::dgst_header : 0) |
                                           (options.data_digest ? spec::tcp::dgst_data : 0));
  request.maxr2t = max_r2t - 1;
  std::memcpy(send_.add_header(sizeof request), &request, sizeof request);
}

bool TcpQueue::take_ic_resp(const spec::tcp::IcResp& response) noexcept {
  constexpr std::uint32_t smallest_h2c_data = 4096;
  const auto header = bytes_of(response.common);
  if (phase_ != Phase::handshake) {
    return violated(FatalError::sequence_error, 0, header, "a second ICResp");
  }
  if (response.pfv != spec::tcp::format_version) {
    return violated(FatalError::unsupported_parameter, offsetof(spec::tcp::IcResp, pfv), header,
                    "ICResp with an unknown PDU format version");
  }
  if (response.cpda > spec::tcp::max_pda) {
    return violated(FatalError::invalid_header_field, offsetof(spec::tcp::IcResp, cpda), header,
                    "ICResp with a CPDA beyond 31");
  }
  if (response.maxh2cdata < smallest_h2c_data || response.maxh2cdata % 4 != 0) {
    return violated(FatalError::invalid_header_field, offsetof(spec::tcp::IcResp, maxh2cdata), header,
                    "ICResp with a MAXH2CDATA below 4096 or no multiple of 4");
  }
  header_digest_ = (response.dgst & spec::tcp::dgst_header) != 0;
  data_digest_ = (response.dgst & spec::tcp::dgst_data) != 0;
  if (header_digest_ != asked_.header_digest || data_digest_ != asked_.data_digest) {
    const auto in_words = [](bool on) { return on ? "on" : "off"; };
    fail(Error(std::errc::protocol_not_supported,
               fmt::format("the controller answers digests header {}, data {} to header {}, data {}",
                           in_words(header_digest_), in_words(data_digest_), in_words(asked_.header_digest),
                           in_words(asked_.data_digest)))
             .with_hint("set header_digest and data_digest as the controller wants them"));
    return false;
  }
  alignment_ = spec::tcp::pda_bytes(response.cpda);
  max_h2c_data_ = response.maxh2cdata;
  reader_.set_rules(
      {.header_digest = header_digest_, .data_digest = data_digest_, .alignment = spec::tcp::pda_bytes(0)});
  phase_ = Phase::running;
  handshake_done_.set();
  return true;
}

namespace {

/// A request whose end somebody awaits, without a QueueState.
struct AwaitedRequest : Request {
  Event done;
};

}  // namespace

Task<spec::Completion> TcpQueue::execute(spec::Command command, std::span<std::byte> data,
                                         spec::DataTransfer direction) {
  // The kernel copies: any memory does.
  const DmaSpan span = DmaSpan::from_registered(data.data(), data.size());
  AwaitedRequest request;
  request.command = command;
  request.direction = direction;
  request.iov = &span;
  request.iov_count = 1;
  request.data_bytes = static_cast<std::uint32_t>(data.size());
  request.set_on_complete([](Request& ended) noexcept { static_cast<AwaitedRequest&>(ended).done.set(); });
  while (phase_ == Phase::running && !submit(request)) co_await yield();
  if (phase_ != Phase::running) {
    throw failure_.value_or(Error(std::errc::not_connected, "the connection was closed").with_device(device_));
  }
  // Its slot has this frame's address: a stop request has to take the connection down first.
  bool stopped = false;
  while (!request.done.is_set()) {
    auto waiting = request.done.wait();
    const auto waited = co_await as_result(std::move(waiting));
    if (waited || request.done.is_set()) continue;
    stopped = true;
    fail(waited.error());
    lose_all();
  }
  if (request.end != RequestEnd::answered) {
    const Error lost = failure_.value_or(Error(std::errc::not_connected, "the connection was closed"));
    throw lost.with_outcome(stopped ? Outcome::may_have_executed : request.outcome);
  }
  co_return request.completion;
}

// ---- commands

std::uint32_t TcpQueue::padding_before_data(std::uint32_t header_bytes) const noexcept {
  const std::uint32_t past = header_bytes % alignment_;
  return past == 0 ? 0 : alignment_ - past;
}

/// Header, its digest, and zeroes up to the data.
std::byte* TcpQueue::add_header(const void* header, std::size_t bytes, std::uint32_t padding) {
  const std::size_t digest = header_digest_ ? spec::tcp::digest_size : 0;
  std::byte* const at = send_.add_header(bytes + digest + padding);
  std::memcpy(at, header, bytes);
  if (header_digest_) store_digest(at + bytes, crc32c(std::span<const std::byte>(at, bytes)));
  if (padding != 0) std::memset(at + bytes + digest, 0, padding);
  return at;
}

void TcpQueue::add_payload(Slot& slot, std::uint64_t offset, std::uint32_t length) {
  const Request& request = *slot.request;
  const DmaSpans spans(request.iov, request.iov_count);
  send_.add_payload(spans, request.data_offset + offset, length);
  if (data_digest_) {
    store_digest(send_.add_header(spec::tcp::digest_size), crc_of(spans, request.data_offset + offset, length));
  }
}

void TcpQueue::write_capsule(Slot& slot, Request& request) {
  spec::tcp::CapsuleCmd pdu;
  CommonHeader& common = pdu.common;
  common.type = PduType::capsule_cmd;
  common.hlen = sizeof pdu;
  std::uint32_t length = sizeof pdu;
  if (header_digest_) {
    common.flags = pdu_flag::header_digest;
    length += spec::tcp::digest_size;
  }
  pdu.command = request.command;
  pdu.command.cid = slot.cid;
  SPDKIO_PROBE(nvme_tcp_command_sent, this, static_cast<int>(request.command.opcode), static_cast<int>(slot.cid));
  pdu.command.set_psdt(spec::Psdt::sgl_contiguous_metadata);
  const std::uint32_t in_capsule_bytes =
      request.command.opcode == spec::fabrics::opcode ? fabrics_in_capsule_bytes : parameters_.in_capsule_bytes;
  const bool data_goes_along = request.direction == spec::DataTransfer::host_to_controller && request.data_bytes != 0 &&
                               request.data_bytes <= in_capsule_bytes;
  std::uint32_t padding = 0;
  if (data_goes_along) {
    padding = padding_before_data(length);
    common.pdo = static_cast<std::uint8_t>(length + padding);
    length += padding + request.data_bytes;
    if (data_digest_) {
      common.flags |= pdu_flag::data_digest;
      length += spec::tcp::digest_size;
    }
    pdu.command.set_sgl(spec::SglDescriptor::in_capsule(0, request.data_bytes));
  } else {
    pdu.command.set_sgl(spec::SglDescriptor::transport_data(request.data_bytes));
  }
  common.plen = length;
  slot.stream_position = send_.bytes_sent() + send_.bytes_queued();
  add_header(&pdu, sizeof pdu, padding);
  if (data_goes_along) {
    slot.asked_for = request.data_bytes;
    add_payload(slot, 0, request.data_bytes);
    send_.add_notice(slot);
    ++slot.unsent;
  }
}

bool TcpQueue::submit(Request& request) noexcept {
  if (phase_ != Phase::running || free_head_ == no_slot) return false;
  Slot& slot = slots_[free_head_];
  free_head_ = slot.next_free;
  // Another number for each use of the slot, so that a stale answer is told from the one that is awaited.
  slot.cid = static_cast<std::uint16_t>(slot.cid + index_mask_ + 1u);
  slot.request = &request;
  slot.sequence = next_sequence_++;
  slot.received = 0;
  slot.asked_for = 0;
  slot.answered = false;
  slot.data_damaged = false;
  ++in_use_;
  request.cid = slot.cid;
  try {
    write_capsule(slot, request);
  } catch (...) {
    // Half a capsule may be queued: nothing can follow it. The request is ended by `stop`, with the others.
    fail(Error(std::errc::not_enough_memory, "no memory for a command").with_device(device_));
    return true;
  }
  flush_later();
  return true;
}

TcpQueue::Slot* TcpQueue::find(std::uint16_t cid) noexcept {
  const std::size_t index = cid & index_mask_;
  if (index >= slots_.size()) return nullptr;
  Slot& slot = slots_[index];
  return slot.request != nullptr && slot.cid == cid ? &slot : nullptr;
}

void TcpQueue::answer(Slot& slot, const spec::Completion& completion) noexcept {
  slot.answer = completion;
  slot.answered = true;
  if (slot.unsent == 0) finish(slot);
}

void TcpQueue::finish(Slot& slot) noexcept {
  Request& request = *slot.request;
  const spec::Completion answer = slot.answer;
  free_slot(slot);
  ++completions_;
  request.complete(answer);
}

void TcpQueue::free_slot(Slot& slot) noexcept {
  slot.request = nullptr;
  --in_use_;
  if (slot.held) return;
  slot.next_free = free_head_;
  free_head_ = static_cast<std::uint16_t>(&slot - slots_.data());
}

void TcpQueue::hold_cid(std::uint16_t cid) noexcept {
  if (Slot* slot = find(cid)) slot->held = true;
}

void TcpQueue::release_cid(std::uint16_t cid) noexcept {
  const std::size_t index = cid & index_mask_;
  if (index >= slots_.size() || slots_[index].cid != cid || !slots_[index].held) return;
  Slot& slot = slots_[index];
  slot.held = false;
  if (slot.request != nullptr) return;
  slot.next_free = free_head_;
  free_head_ = static_cast<std::uint16_t>(index);
}

void TcpQueue::on_sent(SentNotice& notice) noexcept {
  auto& slot = static_cast<Slot&>(notice);
  if (--slot.unsent == 0 && slot.answered) slot.queue->finish(slot);
}

// ---- the socket

void TcpQueue::flush() noexcept {
  if (phase_ == Phase::failed || phase_ == Phase::stopped || !fd_ || send_.empty()) return;
  switch (send_.flush(fd_.get())) {
    case SendStatus::idle:
      if (write_blocked_ && in_group_) group_->want_write(*this, false);
      write_blocked_ = false;
      break;
    case SendStatus::blocked:
      if (!write_blocked_ && in_group_) group_->want_write(*this, true);
      write_blocked_ = true;
      break;
    case SendStatus::failed:
      fail(Error::from_errno(send_.send_errno(), "the connection was lost while sending").with_device(device_));
      break;
  }
}

void TcpQueue::on_writable() noexcept { flush(); }

void TcpQueue::on_hang_up() noexcept {
  fail(Error(std::errc::connection_reset, "the connection was closed").with_device(device_));
}

bool TcpQueue::on_poll() noexcept { return receive(); }

std::size_t TcpQueue::poll() noexcept {
  flush();
  const std::size_t before = completions_;
  receive();
  return completions_ - before;
}

bool TcpQueue::receive() noexcept {
  if (phase_ == Phase::failed || phase_ == Phase::stopped || !fd_) return false;
  switch (reader_.receive(fd_.get(), group_->receive_buffer(), *this)) {
    case ReceiveStatus::received: return true;
    case ReceiveStatus::nothing: return false;
    case ReceiveStatus::closed:
      fail(Error(std::errc::connection_reset, phase_ == Phase::handshake
                                                  ? "the controller closed the connection during the handshake"
                                                  : "the controller closed the connection")
               .with_device(device_));
      return true;
    case ReceiveStatus::failed:
      fail(Error::from_errno(reader_.receive_errno(), "the connection was lost").with_device(device_));
      return true;
    case ReceiveStatus::stopped: return true;
  }
  return false;
}

void TcpQueue::fail(Error why) noexcept {
  if (phase_ == Phase::failed || phase_ == Phase::stopped) return;
  phase_ = Phase::failed;
  failure_ = why;
  if (in_group_) {
    group_->remove(*this);
    in_group_ = false;
  }
  handshake_done_.set();
  if (handed_over_) {
    events_.queue_failed(why);
  } else {
    lose_all();
  }
}

Task<> TcpQueue::stop(bool orderly) {
  if (phase_ == Phase::stopped) co_return;
  if (orderly && phase_ == Phase::running) flush();
  phase_ = Phase::stopped;
  if (in_group_) {
    group_->remove(*this);
    in_group_ = false;
  }
  // From here on nothing is received into anybody's buffer, and nothing sent from one.
  if (fd_) ::shutdown(fd_.get(), SHUT_RDWR);
  fd_.reset();
  send_.clear();
  lose_all();
  handshake_done_.set();
  while (flush_.queued()) co_await yield();  // the Thread still has its address
}

/// Ends every request, in the order of their submission.
void TcpQueue::lose_all() noexcept {
  fd_.reset();
  const std::uint64_t sent = send_.bytes_sent();
  while (in_use_ > 0) {
    Slot* oldest = nullptr;
    for (Slot& slot : slots_) {
      if (slot.request != nullptr && (oldest == nullptr || slot.sequence < oldest->sequence)) oldest = &slot;
    }
    Request& request = *oldest->request;
    const bool answered = oldest->answered;
    const spec::Completion answer = oldest->answer;
    const bool touched = oldest->stream_position < sent;
    oldest->unsent = 0;
    free_slot(*oldest);
    if (answered) {
      request.complete(answer);
    } else {
      request.lose(touched ? Outcome::may_have_executed : Outcome::never_submitted);
    }
  }
}

}  // namespace spdkio::nvme::tcp
