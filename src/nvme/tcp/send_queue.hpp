// SendQueue: what a connection still has to send. Headers are written into it, payload is sent from where it lies, and
// everything that has gathered goes out in as few vectored sends as the kernel takes.
#pragma once

#include <spdkio/engine/dma_span.hpp>

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace spdkio::nvme::tcp {

/// Called when everything that was queued before it has been taken by the kernel; lives with the payload whose memory
/// is then free again.
struct SentNotice {
  void (*sent)(SentNotice&) noexcept = nullptr;
};

enum class SendStatus : std::uint8_t {
  idle,     ///< everything was sent
  blocked,  ///< the socket takes no more now
  failed    ///< see `SendQueue::send_errno`; what is queued stays, and its notices are not called
};

/// First in, first out. In the steady state nothing is allocated.
class SendQueue {
 public:
  SendQueue();
  SendQueue(const SendQueue&) = delete;
  SendQueue& operator=(const SendQueue&) = delete;
  ~SendQueue();

  /// Room for `size` bytes (at most `max_header`) to be filled before the next flush. Digests are headers too.
  std::byte* add_header(std::size_t size);
  /// Must stay until a notice that is added after it is called.
  void add_payload(const std::byte* data, std::size_t size);
  /// `length` bytes from `offset` of a scatter list; the list itself is not needed any more afterwards.
  void add_payload(DmaSpans spans, std::uint64_t offset, std::uint64_t length);
  /// At least one byte was added since the last notice.
  void add_notice(SentNotice& notice) noexcept;

  /// Sends what there is to a non-blocking socket. Notices are called from inside, and may add to the queue.
  SendStatus flush(int fd) noexcept;
  int send_errno() const noexcept { return errno_; }
  bool empty() const noexcept { return head_ == tail_; }
  std::uint64_t bytes_queued() const noexcept { return bytes_queued_; }
  std::uint64_t bytes_sent() const noexcept { return bytes_sent_; }
  /// Forgets everything without calling the notices: the connection has gone.
  void clear() noexcept;

  static constexpr std::size_t max_header = 256;

 private:
  struct Piece {
    const std::byte* data;
    std::size_t size;
    SentNotice* notice;
    bool header;
  };
  struct Chunk;
  static constexpr std::size_t max_pieces_per_send = 256;

  Piece& at(std::size_t index) noexcept { return pieces_[index & (pieces_.size() - 1)]; }
  void push(const std::byte* data, std::size_t size, bool header);
  void consume(std::size_t bytes) noexcept;
  void header_sent(std::size_t bytes) noexcept;
  Chunk& chunk_with_room(std::size_t size);

  std::vector<Piece> pieces_;  // a ring; its size is a power of two
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
  std::uint64_t bytes_queued_ = 0;
  std::uint64_t bytes_sent_ = 0;
  int errno_ = 0;
  // Where headers lie: the oldest chunk is the one whose headers are sent next, the newest is being filled.
  std::unique_ptr<Chunk> oldest_;
  Chunk* newest_ = nullptr;
  std::unique_ptr<Chunk> spare_;
};

}  // namespace spdkio::nvme::tcp
