// SpanCursor: cuts a scatter list into pieces for the device, without allocating.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/engine/dma_span.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace spdkio::blob {

class SpanCursor {
 public:
  static constexpr std::size_t max_spans = 16;
  struct Piece {
    DmaSpans spans;  ///< valid until the next `take`
    std::uint64_t bytes = 0;
  };

  explicit SpanCursor(DmaSpans list) noexcept : list_(list) {
    for (const DmaSpan& span : list) remaining_ += span.size();
  }
  std::uint64_t remaining() const noexcept { return remaining_; }

  /// The next piece: at most `most` bytes, a multiple of `block_size` as `most` is, and not empty. Throws
  /// Misuse::misaligned for a list in which 16 spans hold less than a block.
  Piece take(std::uint64_t most, std::uint32_t block_size) {
    std::size_t count = 0;
    std::uint64_t bytes = 0;
    std::size_t index = index_;
    std::size_t offset = offset_;
    // Where the piece ends if it has to end at a whole block.
    std::size_t good_count = 0, good_index = index, good_offset = offset;
    std::uint64_t good_bytes = 0;
    std::size_t good_tail = 0;
    while (bytes < most && index < list_.size() && count < max_spans) {
      const DmaSpan& span = list_[index];
      const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(span.size() - offset, most - bytes));
      if (size != 0) {
        pieces_[count++] = span.subspan(offset, size);
        bytes += size;
        const std::size_t beyond = static_cast<std::size_t>(bytes % block_size);
        if (beyond < size) {
          good_count = count;
          good_bytes = bytes - beyond;
          good_tail = size - beyond;
          good_index = index;
          good_offset = offset + good_tail;
        }
      }
      offset += size;
      if (offset == span.size()) {
        ++index;
        offset = 0;
      }
    }
    if (good_bytes == 0) {
      throw Error(Misuse::misaligned,
                  "the scatter list has pieces that are too small: 16 in a row hold no whole block");
    }
    pieces_[good_count - 1] = pieces_[good_count - 1].first(good_tail);
    index_ = good_index;
    offset_ = good_offset;
    if (offset_ == list_[index_].size()) {
      ++index_;
      offset_ = 0;
    }
    remaining_ -= good_bytes;
    return {DmaSpans{pieces_.data(), good_count}, good_bytes};
  }
  /// Moves on over `bytes`, which are there.
  template <class Visit>
  void visit(std::uint64_t bytes, Visit&& each) {
    while (bytes != 0) {
      const DmaSpan& span = list_[index_];
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(span.size() - offset_, bytes));
      if (size != 0) each(span.subspan(offset_, size));
      offset_ += size;
      bytes -= size;
      remaining_ -= size;
      if (offset_ == span.size()) {
        ++index_;
        offset_ = 0;
      }
    }
  }

 private:
  DmaSpans list_;
  std::size_t index_ = 0;
  std::size_t offset_ = 0;
  std::uint64_t remaining_ = 0;
  std::array<DmaSpan, max_spans> pieces_;
};

}  // namespace spdkio::blob
