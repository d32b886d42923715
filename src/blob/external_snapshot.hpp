// ExternalSnapshot: a block device that a blob starts from, as it would from a snapshot of its own store.
#pragma once

#include <spdkio/bdev/bdev_desc.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace spdkio::blob {

/// Named by the blob's metadata, and opened while a blob that needs it is open. The device may be missing: then what
/// has to be read from it is an error, and everything else works. Opened and closed on the store's Thread.
class ExternalSnapshot {
 public:
  explicit ExternalSnapshot(std::span<const std::byte> id);
  ExternalSnapshot(const ExternalSnapshot&) = delete;

  /// Opens and claims it if it is not open. Never throws: `reason` says why it is not there.
  Task<> open(std::uint32_t store_block_size);
  /// No I/O and no channel of another Thread may be left.
  Task<> close();

  // ---- any Thread
  /// The name, alias or UUID that the metadata gives.
  const std::string& name() const noexcept { return name_; }
  bool there() const noexcept { return there_.load(std::memory_order_acquire); }
  /// Throws ENODEV when it is not there.
  void require() const;
  /// Bytes; what lies beyond reads as zeros. While it is there.
  std::uint64_t size() const noexcept { return size_; }
  const BdevDesc& device() const noexcept { return *device_; }

  // ---- the store's Thread
  const IoChannel& channel() const noexcept { return channel_; }
  const std::string& reason() const noexcept { return reason_; }

 private:
  Task<> try_open(std::uint32_t store_block_size);

  std::string name_;
  std::atomic<bool> there_{false};
  std::optional<BdevDesc> device_;
  IoChannel channel_;
  std::uint64_t size_ = 0;
  std::string reason_ = "it was not looked for yet";
};

}  // namespace spdkio::blob
