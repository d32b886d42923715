#include "blob/store.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/bdev/bdev.hpp>

#include <algorithm>
#include <exception>
#include <utility>

#include "blob/loader.hpp"

namespace spdkio::blob {
namespace {

Error no_such_blob(BlobId id) {
  return Error(std::errc::no_such_file_or_directory, "there is no blob " + to_string(id));
}

}  // namespace

Store::Store(BdevDesc device)
    : disk_(std::move(device)), home_(CurrentThread::handle()), block_size_(disk_.device().block_size()) {
  const bdev::Geometry& geometry = disk_.device().bdev().geometry();
  if (geometry.metadata_interleaved && geometry.metadata_size != 0) {
    throw Error(Misuse::not_supported, "a Blobstore needs blocks without interleaved metadata")
        .with_device(disk_.device().name());
  }
  disk_.device().claim(bdev::Claim::exclusive_write, "blobstore");
}

// ---- life

Task<> Store::init(const StoreOptions& options, std::string type) {
  const bdev::Geometry& geometry = device().bdev().geometry();
  format::NewStore wanted{.device_bytes = device().size().value,
                          .cluster_size = options.cluster_size,
                          .md_page_size = std::max<std::uint32_t>(
                              format::page_bytes, std::max(geometry.block_size, geometry.physical_block_size)),
                          .io_unit_size = geometry.block_size,
                          .metadata_pages = options.metadata_pages,
                          .type = type};
  auto super = format::make_super_block(wanted);
  if (super) {
    if (const auto checked = format::check_and_complete(*super, wanted.device_bytes); !checked) {
      super = std::unexpected(checked.error());
    }
  }
  if (!super) {
    throw Error(Misuse::invalid_argument, super.error())
        .with_operation("init a Blobstore")
        .with_device(device().name());
  }
  co_await disk_.format(*super);
  used_pages_.resize(layout().md_len);
  used_clusters_.resize(layout().total_clusters);
  for (std::uint32_t cluster = 0; cluster < layout().metadata_clusters; ++cluster) used_clusters_.take(cluster);
  loaded_ = true;

  const std::uint64_t data = layout().cluster_offset(layout().metadata_clusters);
  const std::uint64_t end = layout().cluster_offset(layout().total_clusters);
  if (data == end) co_return;
  const ByteRange rest{ByteOffset{data}, ByteCount{end - data}};
  if (options.clear_method == ClearMethod::write_zeroes) {
    co_await write_zeroes(disk_.channel(), data, end - data);
  } else if (options.clear_method != ClearMethod::none && device().supports(bdev::IoType::unmap)) {
    co_await device().unmap(disk_.channel(), rest);
  }
}

Task<> Store::load(std::string type, bool recover) {
  Loader loader(*this);
  co_await loader.run(type, recover);
  loaded_ = true;
}

void Store::require_idle(const char* operation) const {
  const auto busy = [&](const std::string& what) {
    return Error(std::errc::device_or_resource_busy, what).with_operation(operation).with_device(disk_.device().name());
  };
  for (const auto& [page, node] : nodes_) {
    if (node->open_count != 0) throw busy("blob " + to_string(node->id()) + " is open");
  }
  if (!channels_.empty()) throw busy(std::to_string(channels_.size()) + " channels are open");
}

Task<> Store::unload() {
  const auto operations = co_await operations_.lock();
  const auto metadata = co_await metadata_.lock();
  {
    const std::lock_guard lock(channels_mutex_);
    require_idle("unload");
  }
  if (!leaked_) {
    Bitmap blobs(layout().md_len);
    for (const auto& [page, node] : nodes_) blobs.take(page);
    co_await disk_.finish_changes(used_pages_, used_clusters_, blobs);
  } else {
    log::warn("blobstore on {}: some metadata could not be written; the next load will recover it", device().name());
  }
  loaded_ = false;
  co_await close_externals();
  disk_.close_channel();
  co_await device().close();
}

Task<> Store::destroy() {
  const auto operations = co_await operations_.lock();
  const auto metadata = co_await metadata_.lock();
  {
    const std::lock_guard lock(channels_mutex_);
    require_idle("destroy");
  }
  co_await disk_.wipe_super();
  loaded_ = false;
  co_await close_externals();
  disk_.close_channel();
  co_await device().close();
}

Task<> Store::abandon() {
  loaded_ = false;
  disk_.close_channel();
  co_await device().close();
}

Task<> Store::grow() {
  const auto operations = co_await operations_.lock();
  const auto metadata = co_await metadata_.lock();
  format::SuperBlock super = disk_.super();
  const std::uint64_t bytes = device().size().value;
  const std::uint64_t clusters = bytes / super.cluster_size;
  if (clusters <= layout().total_clusters) co_return;
  const std::uint64_t pages = format::mask_pages(clusters, layout().page_size);
  const std::uint64_t end = super.used_blobid_mask_len != 0 ? super.used_blobid_mask_start : super.md_start;
  if (super.used_cluster_mask_start + pages > end) {
    throw Error(std::errc::no_space_on_device,
                "the cluster mask has no room for " + std::to_string(clusters) + " clusters")
        .with_operation("grow a Blobstore")
        .with_device(device().name())
        .with_hint("a store made with more metadata_pages can grow further");
  }
  super.size = bytes;
  super.used_cluster_mask_len = static_cast<std::uint32_t>(pages);
  if (const auto checked = format::check_and_complete(super, bytes); !checked) {
    throw Error(Misuse::invalid_argument, checked.error()).with_operation("grow a Blobstore");
  }
  co_await disk_.begin_changes();
  co_await disk_.update_super(super);
  used_clusters_.resize(layout().total_clusters);
}

std::uint64_t Store::max_clusters() const noexcept {
  const format::SuperBlock& super = disk_.super();
  const std::uint64_t end = super.used_blobid_mask_len != 0 ? super.used_blobid_mask_start : super.md_start;
  const std::uint64_t bytes = (end - super.used_cluster_mask_start) * layout().page_size;
  return std::min<std::uint64_t>((bytes - sizeof(format::MaskHeader)) * 8, UINT32_MAX);
}

Task<> Store::set_super_blob(BlobId id) {
  const auto metadata = co_await metadata_.lock();
  format::SuperBlock super = disk_.super();
  super.super_blob = id.value;
  co_await disk_.begin_changes();
  co_await disk_.update_super(super);
}

std::string Store::type() const {
  const auto& type = disk_.super().type;
  return {type.begin(), std::ranges::find(type, '\0')};
}

// ---- channels

std::shared_ptr<ChannelState> Store::make_channel() {
  auto channel = std::make_shared<ChannelState>();
  channel->store = shared_from_this();
  channel->io = device().io_channel();
  channel->home = CurrentThread::handle();
  const std::lock_guard lock(channels_mutex_);
  channels_.push_back(channel);
  return channel;
}

void Store::drop_channel(const std::shared_ptr<ChannelState>& channel) noexcept {
  const std::lock_guard lock(channels_mutex_);
  std::erase(channels_, channel);
}

namespace {

/// On the channel's Thread.
Task<> visit(ChannelState& channel, bool drain) {
  if (!drain) {
    channel.thawed.set();
    co_return;
  }
  channel.thawed.reset();
  const unsigned former = channel.phase;
  channel.phase ^= 1;
  while (channel.in_flight[former] != 0) {
    channel.drained.reset();
    co_await channel.drained.wait();
  }
}

}  // namespace

template <class F>
Task<> Store::for_each_channel(F fn) {
  const auto guard = co_await draining_.lock();
  std::vector<std::shared_ptr<ChannelState>> channels;
  {
    const std::lock_guard lock(channels_mutex_);
    channels = channels_;
  }
  for (const auto& channel : channels) {
    ChannelState& state = *channel;
    const auto there = [&state, &fn] { return fn(state); };
    auto call = state.home.call(there);
    try {
      co_await std::move(call);
    } catch (const Error& error) {
      // Its Thread has ended, and so has all I/O on it.
      if (error.code() != std::errc::no_such_process) throw;
    }
  }
}

Task<> Store::visit_channels(bool drain) {
  const auto one = [drain](ChannelState& state) { return visit(state, drain); };
  return for_each_channel(one);
}

Task<> Store::quiesce() { return visit_channels(true); }

Task<> Store::freeze(BlobNode& node) {
  node.frozen.store(true, std::memory_order_release);
  try {
    co_await visit_channels(true);
  } catch (...) {
    node.frozen.store(false, std::memory_order_release);
    throw;
  }
}

Task<> Store::thaw(BlobNode& node) {
  node.frozen.store(false, std::memory_order_release);
  return visit_channels(false);
}

// ---- blobs

BlobNode* Store::find(BlobId id) noexcept {
  if ((id.value & ~std::uint64_t{0xFFFFFFFF}) != format::blob_id_high_bit) return nullptr;
  const auto found = nodes_.find(static_cast<std::uint32_t>(id.value));
  return found == nodes_.end() ? nullptr : found->second.get();
}

BlobNode& Store::get(BlobId id) {
  BlobNode* node = find(id);
  if (node == nullptr) throw no_such_blob(id).with_device(device().name());
  return *node;
}

Task<BlobNode*> Store::open(BlobId id) {
  const auto operations = co_await operations_.lock();
  BlobNode& node = get(id);
  if (node.is_damaged()) {
    throw Error(std::errc::illegal_byte_sequence, "blob " + to_string(id) + " is damaged: " + node.damage)
        .with_device(device().name());
  }
  ++node.open_count;
  if (ExternalSnapshot* external = external_below(node); external != nullptr) {
    std::exception_ptr failure;
    try {
      const auto opening = co_await opening_externals_.lock();
      const bool in_use = std::ranges::any_of(nodes_, [&](const auto& entry) {
        const BlobNode& other = *entry.second;
        return other.open_count > (&other == &node ? 1U : 0U) && external_below(other) == external;
      });
      // A device that has gone is looked for again when nobody can be reading from it.
      if (external->there() && !in_use && external->device().bdev().removed()) {
        co_await drop_channels_to(*external);
        co_await external->close();
      }
      co_await external->open(block_size_);
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      --node.open_count;
      std::rethrow_exception(failure);
    }
    if (!external->there()) {
      log::warn("blobstore on {}: blob {} starts from {}, which is not there: {}", device().name(), to_string(id),
                external->name(), external->reason());
    }
  }
  co_return &node;
}

Task<> Store::close(BlobNode& node) {
  close_now(node);
  co_await close_externals();
}

// ---- external snapshots

namespace {

Task<> forget_channel(ChannelState& state, const ExternalSnapshot& device) {
  std::erase_if(state.external, [&](const auto& entry) { return entry.first == &device; });
  co_return;
}

}  // namespace

ExternalSnapshot* Store::external_below(const BlobNode& node) noexcept {
  const BlobNode* at = &node;
  while (const BlobNode* above = at->parent.load(std::memory_order_acquire)) at = above;
  return at->external.load(std::memory_order_acquire);
}

ExternalSnapshot* Store::add_external(std::span<const std::byte> id) {
  return externals_.emplace_back(std::make_unique<ExternalSnapshot>(id)).get();
}

Task<> Store::drop_channels_to(const ExternalSnapshot& external) {
  co_await quiesce();
  const auto forget = [&external](ChannelState& state) { return forget_channel(state, external); };
  co_await for_each_channel(forget);
}

Task<> Store::close_externals() {
  if (externals_.empty()) co_return;
  const auto opening = co_await opening_externals_.lock();
  std::set<const ExternalSnapshot*> needed;
  std::set<const ExternalSnapshot*> known;
  for (const auto& [root, node] : nodes_) {
    if (node->is_damaged()) continue;
    if (node->open_count != 0) needed.insert(external_below(*node));
    known.insert(node->external.load(std::memory_order_relaxed));
  }
  for (std::size_t i = 0; i < externals_.size(); ++i) {
    ExternalSnapshot& external = *externals_[i];
    if (needed.contains(&external) || !external.there()) continue;
    co_await drop_channels_to(external);
    co_await external.close();
  }
  // Nobody reads from these: what led to them was quiesced when it was changed.
  std::erase_if(externals_, [&](const auto& external) { return !known.contains(external.get()); });
}

Task<> Store::create_node(std::unique_ptr<BlobNode> node, std::uint64_t num_clusters, const Overlay& overlay) {
  const auto metadata = co_await metadata_.lock();
  std::set<std::uint32_t> extents;
  for (const auto& [index, cluster] : overlay) {
    extents.insert(static_cast<std::uint32_t>(index / format::clusters_per_extent));
  }
  BlobNode& made = *node;
  // Known before it is written: its page must not be given to another one while that is going on.
  nodes_.emplace(made.root, std::move(node));
  std::exception_ptr failure;
  try {
    co_await persist(made, num_clusters, std::move(extents), overlay);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    const bool leak = made.uncertain;
    const std::uint32_t root = made.root;
    nodes_.erase(root);
    if (!leak) {
      used_pages_.release(root);
      for (const auto& [index, cluster] : overlay) used_clusters_.release(cluster);
    }
    std::rethrow_exception(failure);
  }
  for (const auto& [index, cluster] : overlay) made.map->set(index, cluster);
  made.map->set_size(num_clusters);
}

Task<BlobId> Store::create(std::uint64_t num_clusters, bool thin, ClearMethod clear, format::Xattrs xattrs,
                           std::string external_snapshot) {
  const auto operations = co_await operations_.lock();
  const std::span<const std::byte> external_id = std::as_bytes(std::span(external_snapshot));
  if (external_id.size() + format::internal_name::external_snapshot.size() > format::max_xattr_bytes) {
    throw Error(Misuse::invalid_argument, "the name of the external snapshot is too long");
  }
  if (!external_id.empty()) thin = true;
  if (num_clusters > UINT32_MAX) throw Error(Misuse::invalid_argument, "num_clusters must be below 2^32");
  Overlay overlay;
  std::vector<std::uint32_t> clusters;
  const std::uint32_t root = take_root();
  try {
    if (!thin) clusters = take_clusters(num_clusters);
  } catch (...) {
    used_pages_.release(root);
    throw;
  }
  for (std::uint64_t i = 0; i < clusters.size(); ++i) overlay.emplace_hint(overlay.end(), i, clusters[i]);
  auto node = std::make_unique<BlobNode>(root);
  format::FlagsDescriptor flags;
  flags.invalid = format::flag::extent_table | (thin ? format::flag::thin : 0);
  flags.md_ro = static_cast<std::uint64_t>(clear);
  node->set_flags(flags);
  node->xattrs = std::move(xattrs);
  if (!external_id.empty()) {
    flags.invalid = flags.invalid | format::flag::external_snapshot | format::flag::internal_xattrs;
    node->set_flags(flags);
    node->internal_xattrs.emplace(format::internal_name::external_snapshot,
                                  std::vector<std::byte>(external_id.begin(), external_id.end()));
    node->external = add_external(external_id);
  }
  const BlobId id = node->id();
  co_await create_node(std::move(node), num_clusters, overlay);
  co_return id;
}

Task<> Store::clear(ClearMethod method, std::span<const std::uint32_t> clusters) {
  if (method == ClearMethod::none) co_return;
  const bool unmap = method != ClearMethod::write_zeroes;
  if (unmap && !device().supports(bdev::IoType::unmap)) co_return;
  for (std::size_t i = 0; i < clusters.size();) {
    std::size_t count = 1;
    while (i + count < clusters.size() && clusters[i + count] == clusters[i] + count) ++count;
    const std::uint64_t offset = layout().cluster_offset(clusters[i]);
    const std::uint64_t bytes = count * std::uint64_t{layout().cluster_size};
    try {
      if (unmap) {
        co_await device().unmap(disk_.channel(), ByteRange{ByteOffset{offset}, ByteCount{bytes}});
      } else {
        co_await write_zeroes(disk_.channel(), offset, bytes);
      }
    } catch (const Error& error) {
      log::warn("blobstore on {}: clusters that were given back could not be cleared: {}", device().name(),
                error.what());
    }
    i += count;
  }
}

void Store::set_parent(BlobNode& node, BlobNode* parent) {
  if (const BlobNode* before = node.parent.load(std::memory_order_relaxed)) {
    BlobNode& former = *nodes_.at(before->root);
    std::erase(former.clones, &node);
  }
  node.parent.store(parent, std::memory_order_release);
  if (parent != nullptr) parent->clones.push_back(&node);
}

Task<> Store::remove(BlobId id) {
  const auto operations = co_await operations_.lock();
  BlobNode& node = get(id);
  const auto busy = [&](const char* why) {
    return Error(std::errc::device_or_resource_busy, "blob " + to_string(id) + why).with_device(device().name());
  };
  if (node.open_count != 0) throw busy(" is open");
  if (node.clones.size() > 1) throw busy(" has more than one clone");
  require_certain(node);
  if (!node.is_damaged() && !node.clones.empty()) {
    BlobNode& clone = *node.clones.front();
    if (clone.is_damaged()) throw busy(" has a damaged clone");
    co_await remove_snapshot_of(node, clone);
  }
  {
    const auto metadata = co_await metadata_.lock();
    co_await erase(node);
  }
  const bool damaged = node.is_damaged();
  set_parent(node, nullptr);
  for (BlobNode* clone : node.clones) clone->parent.store(nullptr, std::memory_order_release);
  // A read of a clone may still be on its way through it.
  co_await quiesce();
  const std::unique_ptr<BlobNode> gone = std::move(nodes_.at(node.root));
  nodes_.erase(gone->root);
  if (damaged) {
    // What it had is not known for sure.
    leaked_ = true;
    used_pages_.release(gone->root);
    co_return;
  }
  std::vector<std::uint32_t> pages = gone->chain;
  for (const auto& [extent, page] : gone->extent_pages) pages.push_back(page);
  std::vector<std::uint32_t> clusters;
  gone->map->for_each_allocated(0, gone->map->size(),
                                [&](std::uint64_t, std::uint32_t cluster) { clusters.push_back(cluster); });
  try {
    const auto metadata = co_await metadata_.lock();
    co_await disk_.zero_pages(pages);
  } catch (const Error&) {
  }
  co_await clear(static_cast<ClearMethod>(gone->flags.md_ro & format::flag::clear_method_mask), clusters);
  for (const std::uint32_t page : pages) used_pages_.release(page);
  used_pages_.release(gone->root);
  for (const std::uint32_t cluster : clusters) used_clusters_.release(cluster);
  co_await close_externals();
}

Task<> Store::resize(BlobNode& node, std::uint64_t num_clusters) {
  const auto operations = co_await operations_.lock();
  if (node.md_ro) throw Error(Misuse::read_only, "blob " + to_string(node.id()) + " is read-only");
  if (num_clusters > UINT32_MAX) throw Error(Misuse::invalid_argument, "num_clusters must be below 2^32");
  require_certain(node);
  const std::uint64_t before = node.map->size();
  if (num_clusters == before) co_return;

  if (num_clusters > before) {
    Overlay overlay;
    std::set<std::uint32_t> extents;
    if (!node.is_thin()) {
      const auto clusters = take_clusters(num_clusters - before);
      for (std::uint64_t i = 0; i < clusters.size(); ++i) {
        overlay.emplace_hint(overlay.end(), before + i, clusters[i]);
        extents.insert(static_cast<std::uint32_t>((before + i) / format::clusters_per_extent));
      }
    }
    const auto metadata = co_await metadata_.lock();
    std::exception_ptr failure;
    try {
      co_await persist(node, num_clusters, std::move(extents), overlay);
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      if (!node.uncertain) {
        for (const auto& [index, cluster] : overlay) used_clusters_.release(cluster);
      }
      std::rethrow_exception(failure);
    }
    for (const auto& [index, cluster] : overlay) node.map->set(index, cluster);
    node.map->set_size(num_clusters);
    co_return;
  }

  // New I/O sees the smaller size at once; allocations that had begun end first.
  std::vector<std::uint32_t> clusters;
  co_await lock_clusters(node, num_clusters, before - num_clusters);
  std::exception_ptr failure;
  try {
    const auto metadata = co_await metadata_.lock();
    co_await persist(node, num_clusters, {}, {});
    node.map->for_each_allocated(num_clusters, before,
                                 [&](std::uint64_t, std::uint32_t cluster) { clusters.push_back(cluster); });
    node.map->set_size(num_clusters);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) {
    std::vector<std::uint64_t> indices;
    node.map->for_each_allocated(num_clusters, before,
                                 [&](std::uint64_t index, std::uint32_t) { indices.push_back(index); });
    for (const std::uint64_t index : indices) node.map->set(index, 0);
  }
  unlock_clusters(node, num_clusters, before - num_clusters);
  if (failure) std::rethrow_exception(failure);
  co_await quiesce();
  co_await clear(static_cast<ClearMethod>(node.flags.md_ro & format::flag::clear_method_mask), clusters);
  for (const std::uint32_t cluster : clusters) used_clusters_.release(cluster);
}

Task<> Store::sync(BlobNode& node) {
  const auto metadata = co_await metadata_.lock();
  if (node.unsynced) {
    co_await persist(node, node.map->size(), {}, {});
  } else if (disk_.dirty()) {
    co_await disk_.flush();
  }
}

Task<> Store::set_read_only(BlobNode& node) {
  const auto operations = co_await operations_.lock();
  const auto metadata = co_await metadata_.lock();
  const format::FlagsDescriptor before = node.flags;
  format::FlagsDescriptor flags = before;
  flags.data_ro = flags.data_ro | format::flag::read_only;
  node.flags = flags;
  std::exception_ptr failure;
  try {
    co_await persist(node, node.map->size(), {}, {});
  } catch (...) {
    failure = std::current_exception();
  }
  node.set_flags(failure ? before : flags);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace spdkio::blob
