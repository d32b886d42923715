// BlobNode: one blob of a loaded store, open or not.
#pragma once

#include <spdkio/blob/blob_id.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "blob/cluster_map.hpp"
#include "blob/format/blob_metadata.hpp"

namespace spdkio::blob {

class ExternalSnapshot;

/// Changed on the store's Thread only. Other Threads look at the members that say so, while the blob is open.
struct BlobNode {
  explicit BlobNode(std::uint32_t root_page) noexcept : root(root_page) {}
  BlobNode(const BlobNode&) = delete;

  BlobId id() const noexcept { return BlobId{format::root_id(root)}; }
  bool is_thin() const noexcept { return thin.load(std::memory_order_relaxed); }
  bool is_damaged() const noexcept { return !damage.empty(); }

  const std::uint32_t root;  ///< any Thread

  // ---- any Thread
  std::unique_ptr<ClusterMap> map = std::make_unique<ClusterMap>();  ///< exchanged only while no I/O runs
  std::atomic<const BlobNode*> parent{nullptr};
  std::atomic<ExternalSnapshot*> external{nullptr};  ///< what it starts from, if that is a device; then no parent
  std::atomic<bool> frozen{false};                   ///< new I/O waits
  std::atomic<bool> data_ro{false};
  std::atomic<bool> thin{false};

  // ---- as on the disk, or as it will be after the next sync
  format::FlagsDescriptor flags{};
  format::Xattrs xattrs;
  format::Xattrs internal_xattrs;
  bool extent_table = true;
  std::map<std::uint32_t, std::uint32_t> extent_pages;  ///< number of the extent, its page
  std::vector<std::uint32_t> chain;                     ///< pages after the root

  // ---- while it is loaded
  bool md_ro = false;      ///< its flags forbid changes of metadata
  bool unsynced = false;   ///< xattrs were changed
  bool uncertain = false;  ///< a write of its metadata failed: what is on the disk is not known
  std::string damage;      ///< why it can't be used
  std::uint32_t open_count = 0;
  std::vector<BlobNode*> clones;

  void set_flags(const format::FlagsDescriptor& value) noexcept {
    flags = value;
    thin = (value.invalid & format::flag::thin) != 0;
    data_ro = (value.data_ro != 0);
    md_ro = value.data_ro != 0 || (value.md_ro & ~format::flag::known_md_ro) != 0;
  }
};

/// What read-only blobs may still have changed: who their parent is, when that goes.
inline bool is_snapshot(const BlobNode& node) noexcept {
  return !node.clones.empty() || (node.flags.data_ro & format::flag::read_only) != 0;
}

}  // namespace spdkio::blob
