// TransferCursor: how far a transfer over a scatter list has come, so that a short one can go on.
#pragma once

#include <spdkio/engine/dma_span.hpp>

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace spdkio::bdev::file {

// The kernel reads scatter lists where they are: a DmaSpan has the layout of an iovec. A test compares the bytes.
static_assert(sizeof(DmaSpan) == sizeof(iovec) && alignof(DmaSpan) == alignof(iovec));
static_assert(std::is_standard_layout_v<DmaSpan>);

/// Points into the list of the request, which stays until the request has ended. Not for empty lists.
class TransferCursor {
 public:
  TransferCursor(DmaSpans pieces, std::uint64_t offset, std::uint64_t bytes) noexcept
      : piece_(pieces.data()), pieces_(static_cast<std::uint32_t>(pieces.size())), offset_(offset), left_(bytes) {
    skip_finished();
  }

  std::uint64_t offset() const noexcept { return offset_; }  ///< in the file, of the next byte
  std::uint64_t left() const noexcept { return left_; }      ///< bytes
  bool done() const noexcept { return left_ == 0; }

  /// The rest of the piece that the next byte belongs to must go alone: it is the only one, or the transfer stopped in
  /// it.
  bool single() const noexcept { return pieces_ == 1 || piece_done_ > 0; }
  std::byte* data() const noexcept { return piece_->data() + piece_done_; }
  std::uint32_t bytes() const noexcept {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(piece_->size() - piece_done_, largest_transfer));
  }
  /// Otherwise: the whole pieces from there, as many as one call takes.
  const iovec* iov() const noexcept { return reinterpret_cast<const iovec*>(piece_); }
  int iov_count() const noexcept { return static_cast<int>(std::min(pieces_, most_pieces)); }

  void advance(std::uint64_t bytes) noexcept {
    offset_ += bytes;
    left_ -= bytes;
    piece_done_ += bytes;
    skip_finished();
  }

 private:
  void skip_finished() noexcept {
    while (pieces_ > 0 && piece_done_ >= piece_->size()) {
      piece_done_ -= piece_->size();
      ++piece_;
      --pieces_;
    }
  }

  static constexpr std::uint64_t largest_transfer = 1 << 30;  // Linux moves at most 2 GiB less a page at once
  static constexpr std::uint32_t most_pieces = 1024;          // IOV_MAX

  const DmaSpan* piece_;
  std::uint32_t pieces_;
  std::uint64_t piece_done_ = 0;  // bytes of the first piece
  std::uint64_t offset_;
  std::uint64_t left_;
};

}  // namespace spdkio::bdev::file
