// Bitmap: which pages or clusters of a store are taken.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace spdkio::blob {

/// Bits 0 to size-1, counted, with a search for the lowest free one. One Thread.
class Bitmap {
 public:
  explicit Bitmap(std::uint32_t size = 0) { resize(size); }

  /// New bits are free. Bits cut off must be free.
  void resize(std::uint32_t size) {
    words_.resize((std::size_t{size} + 63) / 64);
    free_ += size - size_;
    size_ = size;
  }
  std::uint32_t size() const noexcept { return size_; }
  std::uint32_t free() const noexcept { return free_; }
  std::uint32_t used() const noexcept { return size_ - free_; }
  bool test(std::uint32_t bit) const noexcept { return (words_[bit / 64] >> bit % 64 & 1) != 0; }

  /// False when it was taken already.
  bool take(std::uint32_t bit) noexcept {
    const std::uint64_t mask = std::uint64_t{1} << bit % 64;
    if ((words_[bit / 64] & mask) != 0) return false;
    words_[bit / 64] |= mask;
    --free_;
    return true;
  }
  void release(std::uint32_t bit) noexcept {
    const std::uint64_t mask = std::uint64_t{1} << bit % 64;
    if ((words_[bit / 64] & mask) == 0) return;
    words_[bit / 64] &= ~mask;
    ++free_;
    if (bit / 64 < first_word_) first_word_ = bit / 64;
  }
  /// The lowest free bit, taken.
  std::optional<std::uint32_t> take_lowest() noexcept {
    if (free_ == 0) return std::nullopt;
    for (std::size_t word = first_word_; word < words_.size(); ++word) {
      first_word_ = word;
      if (~words_[word] == 0) continue;
      const auto bit = static_cast<std::uint32_t>(word * 64 + static_cast<std::size_t>(std::countr_one(words_[word])));
      if (bit >= size_) break;
      take(bit);
      return bit;
    }
    return std::nullopt;
  }
  /// The lowest taken bit at or after `from`.
  std::optional<std::uint32_t> next_used(std::uint32_t from) const noexcept {
    for (std::size_t word = from / 64; word < words_.size(); ++word) {
      std::uint64_t bits = words_[word];
      if (word == from / 64) bits &= ~std::uint64_t{0} << from % 64;
      if (bits != 0) return static_cast<std::uint32_t>(word * 64 + static_cast<std::size_t>(std::countr_zero(bits)));
    }
    return std::nullopt;
  }
  std::span<const std::uint64_t> words() const noexcept { return words_; }

 private:
  std::vector<std::uint64_t> words_;
  std::uint32_t size_ = 0;
  std::uint32_t free_ = 0;
  std::size_t first_word_ = 0;  ///< no free bit lies in a word before it
};

}  // namespace spdkio::blob
