#include "nvme/tcp/pdu_reader.hpp"

#include <spdkio/base/crc32c.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "nvme/tcp/socket_calls.hpp"

namespace spdkio::nvme::tcp {

using spec::tcp::CommonHeader;
using spec::tcp::digest_size;
using spec::tcp::FatalError;
using spec::tcp::Violation;

ReceiveStatus PduReader::receive(int fd, std::span<std::byte> buffer, PduHandler& handler) noexcept {
  if (state_ == State::refused) return ReceiveStatus::nothing;
  if (state_ == State::stopped) return ReceiveStatus::stopped;
  if (mostly_long_data_) buffer = buffer.first(std::min(buffer.size(), bytes_between_long_data));
  ssize_t length;
  std::size_t straight = 0;
  std::size_t count = 0;
  std::array<iovec, max_segments + 1> iov;
  if (state_ == State::data) count = add_target(iov.data(), max_segments, straight);
  if (count > 0) {
    if (straight == data_left_) iov[count++] = {buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = iov.data();
    message.msg_iovlen = count;
    length = socket_calls.recvmsg(fd, &message, MSG_DONTWAIT);
  } else {
    length = socket_calls.recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
  }
  if (length <= 0) {
    if (length == 0) return ReceiveStatus::closed;
    if (errno == EAGAIN || errno == EINTR) return ReceiveStatus::nothing;
    errno_ = errno;
    return ReceiveStatus::failed;
  }
  auto received = static_cast<std::size_t>(length);
  bytes_received_ += received;
  if (straight > 0) {
    const std::size_t of_data = std::min(received, straight);
    advance(of_data, nullptr);
    received -= of_data;
    if (data_left_ == 0) {
      data_came();
      if (state_ == State::header && !complete(handler, true)) return ReceiveStatus::stopped;
    }
  }
  return feed(buffer.first(received), handler);
}

ReceiveStatus PduReader::resume(PduHandler& handler) noexcept {
  if (state_ != State::refused) return result();
  std::vector<std::byte> held;
  held.swap(held_);
  std::span<const std::byte> bytes(held);
  state_ = State::header;
  if (!announce(bytes, handler)) {
    if (state_ == State::refused) held_ = std::move(held);
    return result();
  }
  return feed(bytes, handler);
}

ReceiveStatus PduReader::feed(std::span<const std::byte> bytes, PduHandler& handler) noexcept {
  while (!bytes.empty()) {
    switch (state_) {
      case State::header:
        if (!take_header(bytes, handler)) {
          if (state_ == State::refused) held_.assign(bytes.begin(), bytes.end());
          if (state_ != State::header) return result();
        }
        break;
      case State::padding: {
        const std::size_t size = std::min<std::size_t>(bytes.size(), padding_left_);
        bytes = bytes.subspan(size);
        padding_left_ -= static_cast<std::uint32_t>(size);
        if (padding_left_ == 0) state_ = State::data;
        break;
      }
      case State::data:
        take_data(bytes);
        if (state_ == State::header && !complete(handler, true)) return ReceiveStatus::stopped;
        break;
      case State::digest:
        if (!take_digest(bytes, handler)) return result();
        break;
      case State::refused:
      case State::stopped: return result();
    }
  }
  return result();
}

/// Appends to the stash until it has `up_to` bytes.
void PduReader::stash(std::span<const std::byte>& bytes, std::size_t up_to) noexcept {
  if (stashed_ >= up_to) return;
  const std::size_t size = std::min(bytes.size(), up_to - stashed_);
  std::memcpy(stash_.data() + stashed_, bytes.data(), size);
  stashed_ += static_cast<std::uint32_t>(size);
  bytes = bytes.subspan(size);
}

bool PduReader::common_header_fits(const std::byte* at, PduHandler& handler) noexcept {
  CommonHeader header;
  std::memcpy(&header, at, sizeof header);
  const auto [layout, violation] = spec::tcp::check_header(header, rules_);
  if (violation) {
    state_ = State::stopped;
    handler.protocol_violated(*violation, {at, sizeof header});
    return false;
  }
  layout_ = layout;
  layout_known_ = true;
  return true;
}

/// False: no whole header yet, or the reader has stopped or waits.
bool PduReader::take_header(std::span<const std::byte>& bytes, PduHandler& handler) noexcept {
  if (stashed_ == 0 && bytes.size() >= sizeof(CommonHeader)) {
    if (!common_header_fits(bytes.data(), handler)) return false;
    if (bytes.size() >= layout_.header_bytes) {
      header_ = bytes.data();
      bytes = bytes.subspan(layout_.header_bytes);
      return announce(bytes, handler);
    }
  }
  if (!layout_known_) {
    stash(bytes, sizeof(CommonHeader));
    if (stashed_ < sizeof(CommonHeader) || !common_header_fits(stash_.data(), handler)) return false;
  }
  stash(bytes, layout_.header_bytes);
  if (stashed_ < layout_.header_bytes) return false;
  header_ = stash_.data();
  return announce(bytes, handler);
}

/// The whole header is there; `bytes` is what follows it.
bool PduReader::announce(std::span<const std::byte>& bytes, PduHandler& handler) noexcept {
  const std::size_t hlen = header().hlen;
  if (layout_.header_digest) {
    spec::Le32 sent;
    std::memcpy(&sent, header_ + hlen, sizeof sent);
    if (crc32c({header_, hlen}) != sent.value()) {
      state_ = State::stopped;
      handler.protocol_violated({FatalError::header_digest_error, sent.value()}, {header_, hlen});
      return false;
    }
  }
  const std::uint32_t rest = layout_.total() - layout_.header_bytes;
  if (header_ != stash_.data() && bytes.size() < rest) {
    std::memcpy(stash_.data(), header_, layout_.header_bytes);
    stashed_ = layout_.header_bytes;
    header_ = stash_.data();
  }
  target_ = {};
  switch (handler.pdu_announced(header(), layout_.data_bytes, target_)) {
    case Accept::yes: break;
    case Accept::stop: state_ = State::stopped; return false;
    case Accept::later:
      if (header_ != stash_.data()) std::memcpy(stash_.data(), header_, layout_.header_bytes);
      stashed_ = layout_.header_bytes;
      header_ = stash_.data();
      state_ = State::refused;
      return false;
  }
  target_index_ = 0;
  data_left_ = layout_.data_bytes;
  padding_left_ = layout_.padding;
  crc_ = 0;
  if (data_left_ == 0) {
    if (++without_data_ >= run_without_data) mostly_long_data_ = false;
    return complete(handler, true);
  }
  mostly_long_data_ = data_left_ >= long_data;
  without_data_ = 0;
  state_ = padding_left_ > 0 ? State::padding : State::data;
  return true;
}

bool PduReader::complete(PduHandler& handler, bool digest_right) noexcept {
  state_ = State::header;
  stashed_ = 0;
  layout_known_ = false;
  target_ = {};
  if (handler.pdu_complete(header(), digest_right)) return true;
  state_ = State::stopped;
  return false;
}

/// Fills `iov` with what is left of the target.
std::size_t PduReader::add_target(iovec* iov, std::size_t room, std::size_t& total) const noexcept {
  std::size_t count = 0;
  std::uint64_t offset = target_.offset;
  for (std::size_t i = target_index_; i < target_.spans.size() && count < room && total < data_left_; ++i) {
    const DmaSpan& span = target_.spans[i];
    if (offset >= span.size()) {
      offset -= span.size();
      continue;
    }
    const std::size_t size = std::min<std::size_t>(static_cast<std::size_t>(span.size() - offset), data_left_ - total);
    iov[count++] = {span.data() + offset, size};
    total += size;
    offset = 0;
  }
  return count;
}

/// `bytes` of data have come: they lie in the target already, or are copied there from `from`.
void PduReader::advance(std::size_t bytes, const std::byte* from) noexcept {
  data_left_ -= static_cast<std::uint32_t>(bytes);
  if (target_.spans.empty()) {
    if (layout_.data_digest && from != nullptr) crc_ = crc32c(crc_, {from, bytes});
    return;
  }
  while (bytes > 0 && target_index_ < target_.spans.size()) {
    const DmaSpan& span = target_.spans[target_index_];
    if (target_.offset >= span.size()) {
      target_.offset -= span.size();
      ++target_index_;
      continue;
    }
    const std::size_t size = std::min<std::size_t>(bytes, static_cast<std::size_t>(span.size() - target_.offset));
    std::byte* const into = span.data() + target_.offset;
    if (from != nullptr) {
      std::memcpy(into, from, size);
      from += size;
    }
    if (layout_.data_digest) crc_ = crc32c(crc_, {into, size});
    target_.offset += size;
    bytes -= size;
  }
}

void PduReader::take_data(std::span<const std::byte>& bytes) noexcept {
  const std::size_t size = std::min<std::size_t>(bytes.size(), data_left_);
  advance(size, bytes.data());
  data_came();
  bytes = bytes.subspan(size);
}

void PduReader::data_came() noexcept {
  if (data_left_ != 0) return;
  digest_seen_ = 0;
  state_ = layout_.data_digest ? State::digest : State::header;
}

bool PduReader::take_digest(std::span<const std::byte>& bytes, PduHandler& handler) noexcept {
  const std::size_t size = std::min<std::size_t>(bytes.size(), digest_size - digest_seen_);
  std::memcpy(digest_.data() + digest_seen_, bytes.data(), size);
  digest_seen_ += static_cast<std::uint32_t>(size);
  bytes = bytes.subspan(size);
  if (digest_seen_ < digest_size) return true;
  spec::Le32 sent;
  std::memcpy(&sent, digest_.data(), sizeof sent);
  return complete(handler, sent.value() == crc_);
}

}  // namespace spdkio::nvme::tcp
