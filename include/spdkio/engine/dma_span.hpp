// DmaSpan: a piece of memory that devices may transfer to and from.
#pragma once

#include <cstddef>
#include <span>

namespace spdkio {

/// A view of DMA-able memory: made from a DmaBuf or a DmaRegion, never from an ordinary pointer, so that such memory
/// can't be handed to a device by accident. Does not own; the memory must stay until the operation that uses it has
/// ended. Like `std::span`, constness of the view says nothing about the bytes.
class DmaSpan {
 public:
  constexpr DmaSpan() noexcept = default;

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::span<std::byte> bytes() const noexcept { return {data_, size_}; }

  /// `count` bytes from `offset`; throws Misuse::out_of_range beyond the end.
  DmaSpan subspan(std::size_t offset, std::size_t count) const;
  DmaSpan first(std::size_t count) const { return subspan(0, count); }

  /// For memory whose owner vouches that the running engine's devices can reach it: allocated or registered with it.
  static constexpr DmaSpan from_registered(std::byte* data, std::size_t size) noexcept { return {data, size}; }

 private:
  constexpr DmaSpan(std::byte* data, std::size_t size) noexcept : data_(data), size_(size) {}
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A scatter list: transferred in order, as if the pieces were one buffer.
using DmaSpans = std::span<const DmaSpan>;

}  // namespace spdkio
