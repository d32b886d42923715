// Store: a loaded Blobstore. What its handles stand on.
#pragma once

#include <spdkio/base/error_context.hpp>
#include <spdkio/blob/blobstore.hpp>
#include <spdkio/runtime/mutex.hpp>
#include <spdkio/runtime/thread.hpp>

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "blob/bitmap.hpp"
#include "blob/blob_node.hpp"
#include "blob/channel_state.hpp"
#include "blob/external_snapshot.hpp"
#include "blob/metadata_disk.hpp"
#include "blob/store_call.hpp"

namespace spdkio::blob {

/// On its home Thread, but for what is marked. Its tasks must run to their end: they are spawned, so that a stop
/// request does not reach them, by the handles.
///
/// Two locks, taken in this order: `operations` for what changes a blob as a whole, one at a time; `metadata` around
/// each change on the disk.
class Store : public std::enable_shared_from_this<Store> {
 public:
  explicit Store(BdevDesc device);
  Store(const Store&) = delete;

  // ---- life
  Task<> init(const StoreOptions& options, std::string type);
  Task<> load(std::string type, bool recover);
  Task<> unload();
  Task<> destroy();
  /// Closes the device after an init or load that failed, or when it is gone.
  Task<> abandon();
  Task<> grow();
  Task<> set_super_blob(BlobId id);

  // ---- any Thread
  const ThreadHandle& home() const noexcept { return home_; }
  MetadataDisk& disk() noexcept { return disk_; }
  BdevDesc& device() noexcept { return disk_.device(); }
  const format::Layout& layout() const noexcept { return disk_.layout(); }
  std::uint32_t block_size() const noexcept { return block_size_; }
  std::shared_ptr<ChannelState> make_channel();
  void drop_channel(const std::shared_ptr<ChannelState>& channel) noexcept;
  /// Runs `task` on the home Thread, to its end.
  template <class T>
  Task<T> run(Task<T> task, const char* name, BlobId id = {}) {
    // Keeps the store while the task runs, even if the handle is destroyed.
    const std::shared_ptr<Store> self = shared_from_this();
    const StoreCall call{name, id, device_name_};
    const ErrorContext doing("{}", call);
    auto handle = home_.spawn(std::move(task), name);
    if constexpr (std::is_void_v<T>) {
      co_await std::move(handle);
    } else {
      co_return co_await std::move(handle);
    }
  }

  // ---- blobs
  BlobNode* find(BlobId id) noexcept;
  /// Throws ENOENT.
  BlobNode& get(BlobId id);
  const std::map<std::uint32_t, std::unique_ptr<BlobNode>>& nodes() const noexcept { return nodes_; }
  Task<BlobId> create(std::uint64_t num_clusters, bool thin, ClearMethod clear, format::Xattrs xattrs,
                      std::string external_snapshot);
  Task<BlobNode*> open(BlobId id);
  void close_now(BlobNode& node) noexcept { --node.open_count; }
  Task<> close(BlobNode& node);
  /// The external snapshot at the end of the line of parents, if there is one.
  static ExternalSnapshot* external_below(const BlobNode& node) noexcept;
  Task<> remove(BlobId id);
  Task<> resize(BlobNode& node, std::uint64_t num_clusters);
  Task<> sync(BlobNode& node);
  Task<> set_read_only(BlobNode& node);

  // ---- snapshots (snapshot.cpp)
  Task<BlobId> snapshot(BlobId of, format::Xattrs xattrs);
  Task<BlobId> clone(BlobId of, format::Xattrs xattrs);
  /// All clusters, or those that the parent has itself.
  Task<> inflate(BlobNode& node, bool all);
  /// Another source for what a thin blob has no clusters for.
  Task<> set_snapshot(BlobNode& node, BlobId of);
  Task<> set_external_snapshot(BlobNode& node, std::string id);

  // ---- clusters (cluster_changes.cpp, shallow_copy.cpp)
  /// What the blob has allocated itself, to the same place of a device. The blob must be read-only and stay open.
  Task<> copy_own_clusters(const BlobNode& node, BdevDesc& to, CopyProgress& progress);
  /// Allocates clusters for [first, first + count), none of which may be allocated, and writes them: `data` from byte
  /// `offset` of the first one on, or `zeros` bytes of zeros; the rest is what was read there before. False when one is
  /// allocated after all, or the blob has shrunk: nothing was done then.
  Task<bool> allocate(BlobNode& node, std::uint64_t first, std::uint32_t count, DmaSpans data, std::uint64_t offset,
                      std::uint64_t zeros);
  /// Gives one cluster of a thin blob back. The caller's own I/O must not be counted as in flight.
  Task<> release(BlobNode& node, std::uint64_t index);

  /// Where the content of a cluster of a blob is: in a cluster of the device, at the same place of an external
  /// snapshot, or nowhere: zeros.
  struct Source {
    std::uint32_t cluster = 0;
    const ExternalSnapshot* external = nullptr;
    bool nowhere() const noexcept { return cluster == 0 && external == nullptr; }
  };
  /// Any Thread.
  Source resolve(const BlobNode& node, std::uint64_t index) const noexcept;
  /// Reads what lies at `from` of an external snapshot, with zeros beyond its end.
  Task<> read_external(const ExternalSnapshot& source, const IoChannel& channel, DmaSpans into,
                       std::uint64_t from) const;
  Task<> write_zeroes(const IoChannel& channel, std::uint64_t offset, std::uint64_t bytes);

  // ---- state that the handles show
  std::string type() const;
  bool recovered() const noexcept { return recovered_; }
  /// As many as the place of the cluster mask has bits for.
  std::uint64_t max_clusters() const noexcept;
  const Bitmap& clusters() const noexcept { return used_clusters_; }
  const Bitmap& pages() const noexcept { return used_pages_; }
  bool loaded() const noexcept { return loaded_; }

 private:
  friend class Loader;

  struct ClusterChange;
  void require_certain(const BlobNode& node) const;

  // ---- metadata (persist.cpp); with the metadata lock
  /// Entries that differ from the blob's map.
  using Overlay = std::map<std::uint64_t, std::uint32_t>;
  /// Writes all metadata of a blob, with a size of `num_clusters` and `overlay` on its map, so that it takes effect in
  /// one step; extents in `changed` get new pages. Durable. When it throws, nothing has changed, or the node is
  /// `uncertain`: then what it would refer to must not be used for anything else.
  Task<> persist(BlobNode& node, std::uint64_t num_clusters, std::set<std::uint32_t> changed, const Overlay& overlay);
  format::BlobMetadata metadata_of(const BlobNode& node, std::uint64_t num_clusters,
                                   const std::map<std::uint32_t, std::uint32_t>& extent_pages,
                                   const Overlay& overlay) const;
  std::vector<std::uint32_t> clusters_of_extent(const BlobNode& node, std::uint32_t extent, std::uint64_t num_clusters,
                                                const Overlay& overlay) const;
  Task<> persist_in_place(BlobNode& node, std::uint32_t extent, const Overlay& overlay);
  Task<> erase(BlobNode& node);
  std::uint32_t take_root();
  std::uint32_t take_page();  ///< for anything but a root
  std::vector<std::uint32_t> take_clusters(std::uint64_t count);

  // ---- cluster changes
  Task<> commit(std::span<ClusterChange* const> changes);
  Task<> lead_commits();
  Task<> commit_node(BlobNode& node, const Overlay& overlay, bool releases);
  Task<> lock_clusters(BlobNode& node, std::uint64_t first, std::uint64_t count);
  void unlock_clusters(BlobNode& node, std::uint64_t first, std::uint64_t count) noexcept;
  Task<> fill(const BlobNode& node, std::uint64_t index, std::uint32_t cluster, std::uint64_t from, std::uint64_t end);
  Task<> write_run(std::span<const std::uint32_t> clusters, DmaSpans data, std::uint64_t offset, std::uint64_t zeros);

  // ---- waiting for I/O
  /// Until no operation runs that began before.
  Task<> quiesce();
  /// Runs `fn(ChannelState&)`, a Task, for every channel on its Thread.
  template <class F>
  Task<> for_each_channel(F fn);
  /// No operation of this blob runs, and new ones wait, until `thaw`.
  Task<> freeze(BlobNode& node);
  Task<> thaw(BlobNode& node);
  Task<> visit_channels(bool drain);

  ExternalSnapshot* add_external(std::span<const std::byte> id);
  Task<> drop_channels_to(const ExternalSnapshot& external);
  /// Closes those that no open blob needs, and forgets those that no blob has.
  Task<> close_externals();

  Task<> clear(ClearMethod method, std::span<const std::uint32_t> clusters);
  Task<> create_node(std::unique_ptr<BlobNode> node, std::uint64_t num_clusters, const Overlay& overlay);
  Task<> remove_snapshot_of(BlobNode& node, BlobNode& clone);
  void set_parent(BlobNode& node, BlobNode* parent);
  void require_new_parent(const BlobNode& node) const;
  static void require_external_id(std::span<const std::byte> id);
  Task<> replace_source(BlobNode& node, BlobNode* next, ExternalSnapshot* external, std::vector<std::byte> external_id);
  void require_idle(const char* operation) const;

  MetadataDisk disk_;
  const std::string device_name_;  ///< also when the device is closed
  ThreadHandle home_;
  std::uint32_t block_size_;
  bool loaded_ = false;
  bool recovered_ = false;
  bool leaked_ = false;  ///< the bitmaps hold something that nothing refers to: not to be marked as clean

  Mutex operations_;
  Mutex metadata_;
  Mutex draining_;
  Bitmap used_pages_;
  Bitmap used_clusters_;
  std::map<std::uint32_t, std::unique_ptr<BlobNode>> nodes_;  ///< by root page
  std::vector<std::unique_ptr<ExternalSnapshot>> externals_;
  Mutex opening_externals_;

  std::vector<ClusterChange*> waiting_changes_;
  bool leading_ = false;
  struct LockedRange {
    const BlobNode* node;
    std::uint64_t first, end;
  };
  std::list<LockedRange> locked_;
  Event unlocked_;

  std::mutex channels_mutex_;
  std::vector<std::shared_ptr<ChannelState>> channels_;
};

}  // namespace spdkio::blob
