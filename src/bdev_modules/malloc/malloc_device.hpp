#pragma once

#include <spdkio/bdev/device.hpp>
#include <spdkio/bdev_modules/malloc.hpp>

#include <mutex>
#include <span>

#include "bdev_modules/malloc/copy.hpp"
#include "bdev_modules/malloc/lazy_memory.hpp"

namespace spdkio::bdev {

class MallocDevice final : public Device {
 public:
  /// Throws Error for options that can't be, and ENOMEM.
  explicit MallocDevice(const MallocOptions& options);
  bool supports(IoType type) const noexcept override;
  std::unique_ptr<Channel> make_channel() override;
  nlohmann::ordered_json config() const override;

  struct Hints {
    const std::byte* next = nullptr;  ///< where the request behind this one starts; null: none or not known
    bool around_cache = false;        ///< a write: `finish_copies_around_cache` will be called before it completes
  };
  IoStatus execute(Io& io, Hints hints) noexcept;
  /// Whether it is a read or write that is nothing but one copy.
  bool is_one_copy(const Io& io) const noexcept {
    return (io.type == IoType::read || io.type == IoType::write) && io.iov_count == 1 && io.metadata.empty() &&
           geometry().dif_type == DifType::none;
  }
  /// Of such a request.
  CopyJob copy_job(const Io& io) noexcept {
    std::byte* const stored = data_.data() + io.lba * geometry().block_size;
    return io.type == IoType::read ? CopyJob{io.iov->data(), stored} : CopyJob{stored, io.iov->data()};
  }
  const std::byte* block(std::uint64_t lba) const noexcept { return data_.data() + lba * geometry().block_size; }

 private:
  IoStatus read(const Io& io, const std::byte* next) noexcept;
  IoStatus write(const Io& io, DmaSpans from, Hints hints) noexcept;
  IoStatus compare(const Io& io) noexcept;
  IoStatus copy(const Io& io) noexcept;
  void zero(const Io& io) noexcept;
  void escape_protection(std::uint64_t lba, std::uint64_t blocks) noexcept;
  IoStatus verify_stored(std::uint64_t lba, std::uint64_t blocks) const noexcept;
  IoStatus verify_incoming(const Io& io, DmaSpans from) const noexcept;
  std::span<std::byte> data_of(std::uint64_t lba) const noexcept;
  std::span<std::byte> metadata_of(std::uint64_t lba) const noexcept;

  LazyMemory data_;
  LazyMemory metadata_;       ///< when it is separate
  int numa_node_;             ///< as asked for
  std::mutex compare_mutex_;  ///< makes compare_and_write one step among Threads
};

}  // namespace spdkio::bdev
