#include "nvme/tcp/send_queue.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>

#include "nvme/tcp/socket_calls.hpp"

namespace spdkio::nvme::tcp {

struct SendQueue::Chunk {
  static constexpr std::size_t capacity = 8192 - 32;
  std::unique_ptr<Chunk> next;
  std::size_t used = 0;
  std::size_t sent = 0;
  std::array<std::byte, capacity> bytes;
};

SendQueue::SendQueue() : pieces_(64), oldest_(new Chunk), newest_(oldest_.get()) {}

SendQueue::~SendQueue() {
  while (oldest_ != nullptr) oldest_ = std::move(oldest_->next);  // not by recursion
}

SendQueue::Chunk& SendQueue::chunk_with_room(std::size_t size) {
  if (newest_->sent == newest_->used) newest_->used = newest_->sent = 0;
  if (Chunk::capacity - newest_->used >= size) return *newest_;
  std::unique_ptr<Chunk> chunk = spare_ != nullptr ? std::move(spare_) : std::unique_ptr<Chunk>(new Chunk);
  newest_->next = std::move(chunk);
  newest_ = newest_->next.get();
  return *newest_;
}

std::byte* SendQueue::add_header(std::size_t size) {
  assert(size > 0 && size <= max_header);
  Chunk& chunk = chunk_with_room(size);
  std::byte* const at = chunk.bytes.data() + chunk.used;
  chunk.used += size;
  if (!empty()) {
    Piece& last = this->at(tail_ - 1);
    if (last.header && last.notice == nullptr && last.data + last.size == at) {
      last.size += size;
      bytes_queued_ += size;
      return at;
    }
  }
  push(at, size, true);
  return at;
}

void SendQueue::add_payload(const std::byte* data, std::size_t size) {
  if (size > 0) push(data, size, false);
}

void SendQueue::add_payload(DmaSpans spans, std::uint64_t offset, std::uint64_t length) {
  for (const DmaSpan& span : spans) {
    if (length == 0) break;
    if (offset >= span.size()) {
      offset -= span.size();
      continue;
    }
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(span.size() - offset, length));
    push(span.data() + offset, size, false);
    length -= size;
    offset = 0;
  }
}

void SendQueue::add_notice(SentNotice& notice) noexcept {
  assert(!empty() && at(tail_ - 1).notice == nullptr);
  at(tail_ - 1).notice = &notice;
}

void SendQueue::push(const std::byte* data, std::size_t size, bool header) {
  if (tail_ - head_ == pieces_.size()) {
    std::vector<Piece> larger(pieces_.size() * 2);
    for (std::size_t i = head_; i != tail_; ++i) larger[i & (larger.size() - 1)] = at(i);
    pieces_ = std::move(larger);
  }
  at(tail_++) = {.data = data, .size = size, .notice = nullptr, .header = header};
  bytes_queued_ += size;
}

SendStatus SendQueue::flush(int fd) noexcept {
  while (!empty()) {
    std::array<iovec, max_pieces_per_send> iov;
    std::size_t count = 0;
    std::size_t total = 0;
    for (std::size_t i = head_; i != tail_ && count < iov.size(); ++i) {
      const Piece& piece = at(i);
      iov[count++] = {const_cast<std::byte*>(piece.data), piece.size};
      total += piece.size;
    }
    msghdr message{};
    message.msg_iov = iov.data();
    message.msg_iovlen = count;
    const ssize_t sent = socket_calls.sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) return SendStatus::blocked;
      errno_ = errno;
      return SendStatus::failed;
    }
    consume(static_cast<std::size_t>(sent));
    if (static_cast<std::size_t>(sent) < total) return SendStatus::blocked;
  }
  return SendStatus::idle;
}

void SendQueue::consume(std::size_t bytes) noexcept {
  bytes_sent_ += bytes;
  bytes_queued_ -= bytes;
  while (bytes > 0) {
    Piece& piece = at(head_);
    const std::size_t size = std::min(bytes, piece.size);
    if (piece.header) header_sent(size);
    bytes -= size;
    piece.data += size;
    piece.size -= size;
    if (piece.size > 0) return;
    SentNotice* const notice = piece.notice;
    ++head_;
    if (notice != nullptr) notice->sent(*notice);
  }
}

void SendQueue::header_sent(std::size_t bytes) noexcept {
  while (bytes > 0) {
    const std::size_t size = std::min(bytes, oldest_->used - oldest_->sent);
    oldest_->sent += size;
    bytes -= size;
    if (oldest_->sent < oldest_->used || oldest_.get() == newest_) continue;
    std::unique_ptr<Chunk> next = std::move(oldest_->next);
    oldest_->used = oldest_->sent = 0;
    spare_ = std::move(oldest_);
    oldest_ = std::move(next);
  }
}

void SendQueue::clear() noexcept {
  head_ = tail_;
  bytes_queued_ = 0;
  while (oldest_->next != nullptr) oldest_ = std::move(oldest_->next);
  newest_ = oldest_.get();
  newest_->used = newest_->sent = 0;
}

}  // namespace spdkio::nvme::tcp
