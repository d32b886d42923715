// MetadataDisk: the metadata of a store on its device. Everything that makes it survive a power cut is here.
#pragma once

#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/engine/dma_buf.hpp>

#include <map>
#include <optional>
#include <span>

#include "blob/bitmap.hpp"
#include "blob/format/blob_metadata.hpp"
#include "blob/format/redo.hpp"

namespace spdkio::blob {

/// Pages that nothing refers to yet may be written at any time. What refers to them is written in place, in one page
/// (`overwrite`), after a flush. The device may tear such a write where its blocks are smaller than a page: then the
/// new content stands in a redo page first. While a store is dirty, its masks mean nothing; the redo page and the super
/// block's second copy lie in their place. One user at a time, on one Thread.
class MetadataDisk {
 public:
  explicit MetadataDisk(BdevDesc device);

  BdevDesc& device() noexcept { return device_; }
  const BdevDesc& device() const noexcept { return device_; }
  const IoChannel& channel() const noexcept { return channel_; }
  const format::SuperBlock& super() const noexcept { return super_; }
  const format::Layout& layout() const noexcept { return layout_; }
  format::Limits limits() const noexcept { return {layout_.md_len, layout_.total_clusters, layout_.metadata_clusters}; }

  /// Before the device is closed.
  void close_channel() noexcept { channel_.close(); }

  /// Reads and checks the super block, mended if a power cut tore it. Throws EILSEQ.
  Task<> load_super();
  /// Writes a new store without blobs.
  Task<> format(const format::SuperBlock& super);
  /// Whether the masks can't be used.
  bool needs_recovery() const noexcept {
    return super_.clean != 1 || super_.used_blobid_mask_len == 0 || super_was_mended_;
  }
  /// In a dirty store: finishes the write that was cut, and says up to which page there may be metadata. Nothing is
  /// written to the device before `begin_changes`.
  Task<std::uint32_t> replay();
  Task<Bitmap> read_mask(format::MaskType type);

  // ---- pages of the metadata region
  Task<format::MetadataPage> read_page(std::uint32_t number);
  /// As many as `into` holds, one after the other, in steps of `layout().page_size`.
  Task<> read_pages(std::uint32_t first, DmaSpan into);
  /// Pages that nothing refers to. Durable after `flush`.
  Task<> write_pages(std::span<const std::uint32_t> numbers, std::span<const format::MetadataPage> pages);
  Task<> zero_pages(std::span<const std::uint32_t> numbers);
  /// Replaces a page that counts, whole or not at all. What it refers to must have been flushed. Durable after `flush`,
  /// which must come before the next call.
  Task<> overwrite(std::uint32_t number, const format::MetadataPage& page);
  /// The same with nothing: the blob of that root page is gone.
  Task<> erase(std::uint32_t number);
  /// Pages up to this one will be used: a recovery must look that far.
  Task<> cover(std::uint32_t number);
  Task<> flush();

  /// After a load, before the first change: no page from `end` on is in use.
  void set_high_water(std::uint32_t end) noexcept { high_water_ = end; }
  /// Before the first change: marks the store as dirty, durably.
  Task<> begin_changes();
  bool dirty() const noexcept { return dirty_; }
  /// Changes the super block, durably, whole or not at all. The store must be dirty.
  Task<> update_super(format::SuperBlock next);
  /// Writes the masks and marks the store as clean, durably.
  Task<> finish_changes(const Bitmap& pages, const Bitmap& clusters, const Bitmap& blobs);
  Task<> wipe_super();

 private:
  Task<> read(std::uint64_t offset, DmaSpan into);
  Task<> write(std::uint64_t offset, DmaSpan data);
  Task<> write_super(const format::SuperBlock& super);
  Task<> write_mask(format::MaskType type, const Bitmap& bits);
  Task<> write_header(std::uint32_t high_water, const format::SuperBlock& super);
  Task<> write_redo(std::uint32_t number, const format::MetadataPage& page, bool erased);
  Task<> write_one(std::uint64_t offset, std::span<const std::byte, format::page_bytes> bytes);
  std::uint64_t mask_offset(std::uint32_t page) const noexcept { return std::uint64_t{page} * layout_.page_size; }

  BdevDesc device_;
  IoChannel channel_;
  format::SuperBlock super_;
  format::Layout layout_;
  bool super_was_mended_ = false;
  bool dirty_ = false;
  bool redo_needed_ = false;
  bool can_flush_ = false;
  std::uint32_t high_water_ = 0;
  /// What `replay` found, until it is written.
  std::optional<std::pair<std::uint32_t, format::MetadataPage>> replayed_;
};

}  // namespace spdkio::blob
