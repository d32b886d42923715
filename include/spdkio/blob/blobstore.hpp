// Blobstore: blobs on a block device.
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/blob/blob.hpp>
#include <spdkio/blob/options.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::blob {

/// A blob that can't be used, and why. The rest of the store is not touched by it.
struct DamagedBlob {
  BlobId id;
  std::string reason;
};

/// What a blob is, without opening it.
struct BlobInfo {
  BlobId id;
  std::uint64_t num_clusters = 0;
  std::uint64_t allocated_clusters = 0;  ///< of its own
  bool thin = false;
  bool read_only = false;
  BlobId parent;
  std::vector<BlobId> clones;
  std::string external_snapshot;  ///< what names it; empty: none
  std::uint32_t open_count = 0;
};

/// A store of blobs on a device, in the on-disk format of SPDK's Blobstore: each reads what the other wrote.
///
/// It belongs to the Thread that initialized or loaded it. Tasks of it may be awaited on any Thread; plain functions
/// are for its own, but for `io_channel`, `cluster_size` and `block_size`. Move-only. `unload` it: a store that is
/// dropped instead stays marked as dirty on the disk, and the next load has to recover it.
///
/// A power cut at any moment leaves a store that loads, with everything in it that a call had made durable.
class Blobstore {
 public:
  Blobstore() noexcept = default;
  /// Makes a new store on a device; what was there is lost. Opens and claims the device. Throws what BdevDesc::open
  /// throws, and Misuse::invalid_argument for options that do not fit the device, naming them.
  static Task<Blobstore> init(std::string_view bdev, const StoreOptions& options = {});
  /// The same on a device that is open for writing.
  static Task<Blobstore> init(BdevDesc device, const StoreOptions& options = {});
  /// Loads what is there, and recovers it if it was not unloaded in order. EILSEQ, with the reason, when there is no
  /// store or its super block is beyond repair; ENXIO for another type. A damaged blob is no error: see `damaged`.
  static Task<Blobstore> load(std::string_view bdev, const LoadOptions& options = {});
  static Task<Blobstore> load(BdevDesc device, const LoadOptions& options = {});

  Blobstore(Blobstore&&) noexcept = default;
  Blobstore& operator=(Blobstore&&) noexcept = default;
  ~Blobstore();
  /// Marks the store as clean and closes the device. EBUSY while a blob or a channel is open.
  Task<> unload();
  /// Erases the store, so that nothing loads any more, and closes the device. EBUSY as for unload.
  Task<> destroy();
  explicit operator bool() const noexcept { return store_ != nullptr; }

  // ---- what it is
  std::string type() const;
  std::uint32_t cluster_size() const;    ///< bytes
  std::uint32_t block_size() const;      ///< bytes: what offsets and lengths are multiples of
  std::uint64_t total_clusters() const;  ///< that blobs can have
  std::uint64_t free_clusters() const;
  std::uint64_t free_metadata_pages() const;
  const std::string& bdev_name() const;
  /// Whether the load had to recover it.
  bool recovered() const;

  /// For the current Thread.
  BlobChannel io_channel() const;

  // ---- blobs
  /// Durable when it returns. ENOSPC without room.
  Task<BlobId> create(const BlobOptions& options = {});
  /// ENOENT when there is none, EILSEQ with the reason for a damaged one. Any number of times.
  Task<Blob> open(BlobId id);
  /// Durable when it returns. EBUSY while it is open, or for a snapshot with more than one clone; the only clone gets
  /// what it shares. A damaged blob can be deleted too: its clusters return at the next recovery.
  Task<> remove(BlobId id);
  /// All that can be opened, in the order of their ids.
  std::vector<BlobId> blobs() const;
  /// ENOENT when there is none.
  BlobInfo info(BlobId id) const;
  std::vector<DamagedBlob> damaged() const;

  /// A read-only blob with the content that `of` has now; `of` becomes a thin clone of it. `of` may be open and in use.
  /// Misuse::read_only for a blob that is read-only: clone it instead.
  Task<BlobId> snapshot(BlobId of, std::span<const XattrView> xattrs = {});
  /// A thin blob that starts with the content of the read-only blob `of`; Misuse::invalid_argument for another one.
  Task<BlobId> clone(BlobId of, std::span<const XattrView> xattrs = {});

  // ---- the store itself
  /// Where the application starts from; invalid: none. `set` is durable when it returns.
  BlobId super_blob() const;
  Task<> set_super_blob(BlobId id);
  /// Takes over what the device has grown by. ENOSPC when the store was not made for that many clusters.
  Task<> grow();

  const std::shared_ptr<Store>& store() const noexcept { return store_; }

 private:
  explicit Blobstore(std::shared_ptr<Store> store) noexcept : store_(std::move(store)) {}
  static Task<Blobstore> finish(Task<std::shared_ptr<Store>> making);
  static Task<Blob> open_in(std::shared_ptr<Store> store, BlobId id);
  Store& loaded() const;

  std::shared_ptr<Store> store_;
};

}  // namespace spdkio::blob
