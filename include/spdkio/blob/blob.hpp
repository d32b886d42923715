// Blob: an open blob.
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/blob/blob_channel.hpp>
#include <spdkio/blob/blob_id.hpp>
#include <spdkio/engine/dma_span.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::blob {

class Store;
struct BlobNode;

/// How far `Blob::shallow_copy` is, in clusters. To be read on the store's Thread.
struct CopyProgress {
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};

/// From `Blobstore::open`. Move-only. `close` it; a destructor that finds it open closes it and says so in the log,
/// and changes that were not synced are lost.
///
/// Data operations run on any Thread with a BlobChannel of that Thread; the others may be awaited on any Thread and
/// work on the store's. Offsets and lengths are in bytes and must be whole blocks of the device: Misuse::misaligned
/// otherwise, Misuse::out_of_range beyond the end of the blob, Misuse::read_only for a write to a read-only blob,
/// Misuse::already_closed after `close`.
///
/// Operations in flight end when the device answers. A stop request reaches reads and writes of allocated clusters as
/// it does those of the device; what changes metadata runs to its end once it has begun.
class Blob {
 public:
  Blob() noexcept = default;
  Blob(Blob&& other) noexcept;
  Blob& operator=(Blob&& other) noexcept;
  ~Blob();
  /// Syncs and closes. No operation may be in flight. Throws Misuse::already_closed the second time.
  Task<> close();
  explicit operator bool() const noexcept { return node_ != nullptr; }

  // ---- what it is; any Thread
  BlobId id() const;
  std::uint64_t num_clusters() const;
  ByteCount size() const;
  /// What it takes on the device by itself, without what it shares with a snapshot. On the store's Thread.
  ByteCount allocated() const;
  bool thin() const;
  bool read_only() const;

  // ---- data
  /// What no cluster was allocated for comes from the snapshot below, or is zeros.
  Task<> read(const BlobChannel& channel, DmaSpan into, ByteOffset from) const;
  /// The list must stay until the operation has ended.
  Task<> read(const BlobChannel& channel, DmaSpans into, ByteOffset from) const;
  /// Clusters are allocated as needed: ENOSPC when the store is full; then a part of the data may have been written.
  /// Durable after the next `flush`.
  Task<> write(const BlobChannel& channel, DmaSpan data, ByteOffset to) const;
  Task<> write(const BlobChannel& channel, DmaSpans data, ByteOffset to) const;
  Task<> write_zeroes(const BlobChannel& channel, ByteRange range) const;
  /// Gives space back: whole clusters of a thin blob that is not a clone return to the store and read as zeros; for the
  /// rest, what a later read finds is not defined.
  Task<> unmap(const BlobChannel& channel, ByteRange range) const;
  /// Makes durable what was completed before, in all blobs of the store.
  Task<> flush(const BlobChannel& channel) const;
  /// Where data, or a hole, is next at or after `from`, in steps of clusters; empty when there is none. Data is what
  /// this blob or a snapshot below it has allocated.
  std::optional<ByteOffset> seek_data(ByteOffset from) const;
  std::optional<ByteOffset> seek_hole(ByteOffset from) const;

  // ---- metadata
  /// Durable when it returns. ENOSPC when a thick blob can't grow. What is cut off is gone; where a clone grows over
  /// what its snapshot has, that shows.
  Task<> resize(std::uint64_t num_clusters);
  /// Nobody may write it from now on, ever. Durable when it returns.
  Task<> set_read_only();
  /// Durable after `sync` or `close`. Name and value must fit a metadata page: Misuse::invalid_argument. On the store's
  /// Thread, as the other functions for xattrs.
  void set_xattr(std::string_view name, std::span<const std::byte> value);
  void set_xattr(std::string_view name, std::string_view value);
  /// ENOENT when there is none.
  void remove_xattr(std::string_view name);
  std::optional<std::vector<std::byte>> xattr(std::string_view name) const;
  std::vector<std::string> xattr_names() const;
  /// Writes what was changed and makes it durable.
  Task<> sync();

  // ---- snapshots
  /// The snapshot that this blob is a clone of.
  BlobId parent() const;
  /// True for a blob that others are clones of, or that was made as a snapshot.
  bool is_snapshot() const;
  bool is_clone() const;
  /// The external snapshot that this blob starts from, as its metadata names it; empty without one.
  std::string external_snapshot() const;
  /// The external snapshot at the end of its line of parents is not there: what has to be read from it fails with
  /// ENODEV. Opening the blob again, when nobody has it open, looks for the device again.
  bool degraded() const;
  /// Gives it clusters of its own for everything, so that it needs no snapshot any more, and makes it thick. Durable
  /// when it returns. ENOSPC leaves a blob that works as before, with more clusters of its own.
  Task<> inflate();
  /// Copies what its parent has, so that it depends on the parent's parent, if there is one, and stays thin.
  Task<> decouple_parent();
  /// What this thin blob has no clusters for comes from the snapshot `of` from now on: a read-only blob of the same
  /// size that does not start from this one, Misuse::invalid_argument for another. What it showed of its former parent
  /// is lost. EEXIST when it is the parent already. Durable when it returns. No I/O fails or is torn meanwhile; what is
  /// in flight finds the one or the other.
  Task<> set_parent(BlobId of);
  /// The same with an external snapshot, named as in BlobOptions. ENODEV when there is no such device.
  Task<> set_external_parent(std::string_view name);
  /// Copies the clusters that this blob has itself, not those that it shares, to the same places of a device that is
  /// open for writing. The blob must be read-only: EPERM; Misuse::out_of_range for a device that is
  /// smaller. Runs on the store's Thread, which `to` must be open for; a stop request ends it. The three must stay
  /// until it has ended.
  Task<> shallow_copy(BdevDesc& to, CopyProgress& progress) const;

  const std::shared_ptr<Store>& store() const noexcept { return store_; }

 private:
  friend class Blobstore;
  Blob(std::shared_ptr<Store> store, BlobNode& node) noexcept : store_(std::move(store)), node_(&node) {}
  BlobNode& open_node() const;
  void drop() noexcept;

  std::shared_ptr<Store> store_;
  BlobNode* node_ = nullptr;
};

}  // namespace spdkio::blob
