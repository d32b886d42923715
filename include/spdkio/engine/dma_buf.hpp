// DmaBuf: owned memory for transfers.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/engine/dma_span.hpp>
#include <spdkio/engine/memory.hpp>

#include <cstddef>
#include <span>
#include <utility>

namespace spdkio {

struct DmaBufOptions {
  std::size_t alignment = 4096;  ///< bytes, a power of two
  bool zeroed = true;            ///< false: the content is whatever was there
  int numa_node = engine::any_numa_node;
};

/// Memory from the running engine that its devices can transfer to and from; freed by the destructor, on any OS thread,
/// also after the engine has stopped. Move-only. Must not be destroyed while an operation uses it.
class DmaBuf {
 public:
  DmaBuf() noexcept = default;
  /// Throws Error(not_enough_memory), Misuse::not_started without an Env, or Misuse::invalid_argument for a size of
  /// zero or an alignment that is no power of two.
  explicit DmaBuf(std::size_t size, const DmaBufOptions& options = {});
  DmaBuf(DmaBuf&& other) noexcept
      : service_(std::exchange(other.service_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  DmaBuf& operator=(DmaBuf&& other) noexcept {
    std::swap(service_, other.service_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~DmaBuf() {
    if (data_ != nullptr) service_->free(data_, size_);
  }
  /// The same without throwing.
  static Result<DmaBuf> allocate(std::size_t size, const DmaBufOptions& options = {});

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::span<std::byte> bytes() const noexcept { return {data_, size_}; }
  std::byte& operator[](std::size_t index) const noexcept { return data_[index]; }
  void fill(std::byte value) const noexcept;

  DmaSpan span() const noexcept { return DmaSpan::from_registered(data_, size_); }
  operator DmaSpan() const noexcept { return span(); }
  DmaSpan subspan(std::size_t offset, std::size_t count) const { return span().subspan(offset, count); }

  /// The device address of the first byte and how far it goes on from there; see MemoryService::translate.
  Result<engine::IovaRange> iova() const;

 private:
  DmaBuf(engine::MemoryService& service, std::byte* data, std::size_t size) noexcept
      : service_(&service), data_(data), size_(size) {}
  engine::MemoryService* service_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace spdkio
