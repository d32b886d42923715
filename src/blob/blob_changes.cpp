// Changes of a blob as a whole: made, deleted, of another size, read-only.
#include <spdkio/base/log.hpp>

#include <algorithm>
#include <exception>
#include <utility>

#include "blob/store.hpp"

namespace spdkio::blob {

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

void Store::require_external_id(std::span<const std::byte> id) {
  if (id.size() + format::internal_name::external_snapshot.size() <= format::max_xattr_bytes) return;
  throw Error(Misuse::invalid_argument, "the name of the external snapshot is too long");
}

Task<BlobId> Store::create(std::uint64_t num_clusters, bool thin, ClearMethod clear, format::Xattrs xattrs,
                           std::string external_snapshot) {
  const auto operations = co_await operations_.lock();
  const std::span<const std::byte> external_id = std::as_bytes(std::span(external_snapshot));
  require_external_id(external_id);
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
