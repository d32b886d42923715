// How the metadata of a blob gets to the disk: new pages first, then, after a flush, the one page that refers to them.
#include <algorithm>
#include <utility>

#include "blob/store.hpp"

namespace spdkio::blob {

using format::MetadataPage;

namespace {

std::uint64_t extent_count(std::uint64_t clusters) {
  return (clusters + format::clusters_per_extent - 1) / format::clusters_per_extent;
}

/// What is written includes the xattrs as they are now; if it fails, they are still to be written.
class Synced {
 public:
  explicit Synced(BlobNode& node) noexcept : node_(node), before_(std::exchange(node.unsynced, false)) {}
  Synced(const Synced&) = delete;
  ~Synced() { node_.unsynced = node_.unsynced || (before_ && !done_); }
  void done() noexcept { done_ = true; }

 private:
  BlobNode& node_;
  bool before_;
  bool done_ = false;
};

/// Pages taken from a bitmap; given back at the end unless they were kept.
class TakenPages {
 public:
  explicit TakenPages(Bitmap& bitmap) noexcept : bitmap_(bitmap) {}
  TakenPages(const TakenPages&) = delete;
  ~TakenPages() {
    for (const std::uint32_t page : pages) bitmap_.release(page);
  }
  void keep() noexcept { pages.clear(); }
  std::vector<std::uint32_t> pages;

 private:
  Bitmap& bitmap_;
};

}  // namespace

std::uint32_t Store::take_root() {
  const auto page = used_pages_.take_lowest();
  if (!page) {
    throw Error(std::errc::no_space_on_device, "no metadata page is free")
        .with_device(disk_.device().name())
        .with_hint("a store made with more metadata_pages has room for more blobs and larger ones");
  }
  return *page;
}

std::uint32_t Store::take_page() {
  std::uint32_t page = take_root();
  if (page != 0) return page;
  // In an extent table page 0 is none.
  try {
    page = take_root();
  } catch (...) {
    used_pages_.release(0);
    throw;
  }
  used_pages_.release(0);
  return page;
}

std::vector<std::uint32_t> Store::take_clusters(std::uint64_t count) {
  if (count > used_clusters_.free()) {
    throw Error(std::errc::no_space_on_device, "not enough clusters are free: " + std::to_string(count) + " of " +
                                                   std::to_string(used_clusters_.free()))
        .with_device(disk_.device().name());
  }
  std::vector<std::uint32_t> clusters(count);
  for (std::uint32_t& cluster : clusters) cluster = *used_clusters_.take_lowest();
  return clusters;
}

std::vector<std::uint32_t> Store::clusters_of_extent(const BlobNode& node, std::uint32_t extent,
                                                     std::uint64_t num_clusters, const Overlay& overlay) const {
  const std::uint64_t first = std::uint64_t{extent} * format::clusters_per_extent;
  const std::uint64_t end = std::min<std::uint64_t>(first + format::clusters_per_extent, num_clusters);
  std::vector<std::uint32_t> clusters(end - first);
  node.map->for_each_allocated(first, end,
                               [&](std::uint64_t index, std::uint32_t cluster) { clusters[index - first] = cluster; });
  for (auto entry = overlay.lower_bound(first); entry != overlay.end() && entry->first < end; ++entry) {
    clusters[entry->first - first] = entry->second;
  }
  return clusters;
}

format::BlobMetadata Store::metadata_of(const BlobNode& node, std::uint64_t num_clusters,
                                        const std::map<std::uint32_t, std::uint32_t>& extent_pages,
                                        const Overlay& overlay) const {
  format::BlobMetadata metadata;
  metadata.id = node.id().value;
  metadata.flags = node.flags;
  metadata.xattrs = node.xattrs;
  metadata.internal_xattrs = node.internal_xattrs;
  metadata.extent_table = node.extent_table;
  metadata.num_clusters = num_clusters;
  if (node.extent_table) {
    std::uint64_t next = 0;
    const auto hole_until = [&](std::uint64_t extent) {
      if (extent > next) {
        metadata.table.push_back({.page = 0, .count = static_cast<std::uint32_t>(extent - next)});
      }
    };
    for (const auto& [extent, page] : extent_pages) {
      hole_until(extent);
      metadata.table.push_back({.page = page, .count = 1});
      next = extent + std::uint64_t{1};
    }
    hole_until(extent_count(num_clusters));
    return metadata;
  }
  // Runs: clusters in a row, or holes.
  std::map<std::uint64_t, std::uint32_t> clusters;
  node.map->for_each_allocated(0, num_clusters, [&](std::uint64_t index, std::uint32_t cluster) {
    clusters.emplace_hint(clusters.end(), index, cluster);
  });
  for (const auto& [index, cluster] : overlay) {
    if (index >= num_clusters) break;
    if (cluster == 0) {
      clusters.erase(index);
    } else {
      clusters[index] = cluster;
    }
  }
  std::uint64_t next = 0;
  for (const auto& [index, cluster] : clusters) {
    if (index > next) metadata.runs.push_back({.cluster = 0, .count = static_cast<std::uint32_t>(index - next)});
    if (index == next && !metadata.runs.empty() && metadata.runs.back().cluster != 0 &&
        metadata.runs.back().cluster + metadata.runs.back().count == cluster) {
      metadata.runs.back().count = metadata.runs.back().count + 1;
    } else {
      metadata.runs.push_back({.cluster = cluster, .count = 1});
    }
    next = index + 1;
  }
  if (num_clusters > next) {
    metadata.runs.push_back({.cluster = 0, .count = static_cast<std::uint32_t>(num_clusters - next)});
  }
  return metadata;
}

void Store::require_certain(const BlobNode& node) const {
  if (!node.uncertain) return;
  throw Error(std::errc::io_error,
              "an earlier change of this blob's metadata failed: load the store again to recover it")
      .with_device(disk_.device().name());
}

Task<> Store::persist(BlobNode& node, std::uint64_t num_clusters, std::set<std::uint32_t> changed,
                      const Overlay& overlay) {
  require_certain(node);
  co_await disk_.begin_changes();

  TakenPages taken(used_pages_);
  std::vector<std::uint32_t> replaced;
  std::map<std::uint32_t, std::uint32_t> extent_pages = node.extent_pages;
  std::vector<MetadataPage> pages;
  std::uint32_t highest = node.root;
  const auto take = [&] {
    const std::uint32_t page = take_page();
    taken.pages.push_back(page);
    highest = std::max(highest, page);
    return page;
  };

  if (node.extent_table) {
    const std::uint64_t extents = extent_count(num_clusters);
    while (!extent_pages.empty() && extent_pages.rbegin()->first >= extents) {
      replaced.push_back(extent_pages.rbegin()->second);
      extent_pages.erase(std::prev(extent_pages.end()));
    }
    // The last extent says how many clusters it has: a change of the size changes it, and the one that was last.
    if (num_clusters != node.map->size()) {
      if (num_clusters != 0) changed.insert(static_cast<std::uint32_t>(extents - 1));
      if (node.map->size() != 0) changed.insert(static_cast<std::uint32_t>(extent_count(node.map->size()) - 1));
    }
    for (const std::uint32_t extent : changed) {
      if (extent >= extents) continue;
      if (const auto old = extent_pages.find(extent); old != extent_pages.end()) {
        replaced.push_back(old->second);
        extent_pages.erase(old);
      }
      const auto clusters = clusters_of_extent(node, extent, num_clusters, overlay);
      if (std::ranges::all_of(clusters, [](std::uint32_t cluster) { return cluster == 0; })) continue;
      extent_pages[extent] = take();
      format::write_extent_page(pages.emplace_back(), node.id().value, extent * format::clusters_per_extent, clusters);
    }
  }

  Synced synced(node);
  std::vector<MetadataPage> chain = format::write_chain(metadata_of(node, num_clusters, extent_pages, overlay));
  std::vector<std::uint32_t> numbers{node.root};
  while (numbers.size() < chain.size()) numbers.push_back(take());
  format::link(chain, numbers);
  pages.insert(pages.end(), chain.begin() + 1, chain.end());
  replaced.insert(replaced.end(), node.chain.begin(), node.chain.end());

  co_await disk_.cover(highest);
  co_await disk_.write_pages(taken.pages, pages);
  co_await disk_.flush();
  try {
    co_await disk_.overwrite(node.root, chain.front());
    co_await disk_.flush();
  } catch (...) {
    node.uncertain = true;
    leaked_ = true;
    taken.keep();
    throw;
  }
  taken.keep();
  synced.done();
  node.extent_pages = std::move(extent_pages);
  node.chain.assign(numbers.begin() + 1, numbers.end());

  // Nothing refers to them any more. Zeros, because SPDK's recovery minds leftovers; if that fails, nobody cares.
  try {
    co_await disk_.zero_pages(replaced);
  } catch (const Error&) {
  }
  for (const std::uint32_t page : replaced) used_pages_.release(page);
}

Task<> Store::persist_in_place(BlobNode& node, std::uint32_t extent, const Overlay& overlay) {
  require_certain(node);
  co_await disk_.begin_changes();
  co_await disk_.flush();
  MetadataPage page;
  format::write_extent_page(page, node.id().value, extent * format::clusters_per_extent,
                            clusters_of_extent(node, extent, node.map->size(), overlay));
  try {
    co_await disk_.overwrite(node.extent_pages.at(extent), page);
  } catch (...) {
    node.uncertain = true;
    leaked_ = true;
    throw;
  }
}

Task<> Store::erase(BlobNode& node) {
  co_await disk_.begin_changes();
  // Whatever took over from this blob must be in place.
  co_await disk_.flush();
  try {
    co_await disk_.erase(node.root);
    co_await disk_.flush();
  } catch (...) {
    node.uncertain = true;
    leaked_ = true;
    throw;
  }
}

}  // namespace spdkio::blob
