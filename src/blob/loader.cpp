#include "blob/loader.hpp"

#include <spdkio/base/error_context.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/for_each_concurrent.hpp>

#include <algorithm>
#include <cstring>
#include <ranges>

namespace spdkio::blob {

using format::Checked;
using format::MetadataPage;
namespace name = format::internal_name;

namespace {

constexpr std::uint32_t pages_per_read = 64;
constexpr std::size_t reads_at_once = 16;
constexpr std::size_t blobs_at_once = 32;

Checked<> damaged(std::string what) { return std::unexpected(std::move(what)); }

void remove_internal(format::BlobMetadata& metadata, std::string_view which) {
  if (const auto found = metadata.internal_xattrs.find(which); found != metadata.internal_xattrs.end()) {
    metadata.internal_xattrs.erase(found);
  }
  if (metadata.internal_xattrs.empty()) {
    metadata.flags.invalid = metadata.flags.invalid & ~format::flag::internal_xattrs;
  }
}

}  // namespace

Task<> Loader::run(const std::string& type, bool recover) {
  co_await disk_.load_super();
  if (!type.empty() && store_.type() != type) {
    throw Error(std::errc::no_such_device_or_address,
                "the store belongs to \"" + store_.type() + "\", not to \"" + type + "\"")
        .with_operation("load a Blobstore")
        .with_device(disk_.device().name());
  }
  recover = recover || disk_.needs_recovery();
  if (!recover) {
    const auto mask = co_await as_result(disk_.read_mask(format::MaskType::used_blobids));
    if (mask) {
      for (auto root = mask->next_used(0); root; root = mask->next_used(*root + 1)) roots_.push_back(*root);
    } else {
      log::warn("blobstore on {}: {}; looking at all metadata instead", disk_.device().name(), mask.error().what());
      recover = true;
    }
  }
  const ErrorContext doing("{} the blobs", recover ? "recovering" : "reading");
  if (recover) {
    store_.recovered_ = true;
    std::uint32_t end = disk_.layout().md_len;
    if (disk_.super().clean != 1) end = co_await disk_.replay();
    co_await find_roots(end);
    std::ranges::sort(roots_);
  }

  drafts_.reserve(roots_.size());
  for (const std::uint32_t root : roots_) drafts_.emplace_back(root);
  const auto read = [this](Draft& draft) { return read_blob(draft); };
  co_await for_each_concurrent(blobs_at_once, drafts_, read);

  settle_interrupted();
  claim_all();
  connect_clones();
  co_await write_changes();
}

// ---- where the blobs are

Task<> Loader::find_roots(std::uint32_t end) {
  const std::uint32_t reads = end / pages_per_read + (end % pages_per_read != 0 ? 1 : 0);
  const auto look = [this, end](std::uint32_t read) {
    const std::uint32_t first = read * pages_per_read;
    return look_for_roots(first, std::min(pages_per_read, end - first));
  };
  co_await for_each_concurrent(reads_at_once, std::views::iota(std::uint32_t{0}, reads), look);
}

Task<> Loader::look_for_roots(std::uint32_t first, std::uint32_t count) {
  const std::uint32_t page_size = disk_.layout().page_size;
  const DmaBuf buffer{std::size_t{count} * page_size, {.zeroed = false}};
  MetadataPage page;
  if (co_await as_result(disk_.read_pages(first, buffer))) {
    for (std::uint32_t i = 0; i < count; ++i) {
      std::memcpy(static_cast<void*>(&page), buffer.data() + std::size_t{i} * page_size, sizeof(page));
      look_at(first + i, page);
    }
    co_return;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto one = co_await as_result(disk_.read_page(first + i));
    if (one) {
      look_at(first + i, *one);
    } else {
      log::error("blobstore on {}: metadata page {} can't be read: {}", disk_.device().name(), first + i,
                 one.error().what());
    }
  }
}

void Loader::look_at(std::uint32_t number, const MetadataPage& page) {
  // A damaged root page still says that it is one: its blob is listed, not forgotten.
  if (page.id == format::root_id(number) && page.sequence == 0) roots_.push_back(number);
}

// ---- one blob

Task<> Loader::read_blob(Draft& draft) {
  auto read = co_await read_chain(draft);
  if (read && draft.metadata.extent_table) read = co_await read_extents(draft);
  if (!read) draft.node->damage = read.error();
}

Task<Checked<>> Loader::read_chain(Draft& draft) {
  const std::uint32_t root = draft.node->root;
  format::MetadataReader reader(disk_.limits());
  std::uint32_t number = root;
  // A chain that turns back on itself meets a page of another sequence number.
  for (std::uint32_t sequence = 0;; ++sequence) {
    const auto page = co_await as_result(disk_.read_page(number));
    if (!page) co_return damaged("a metadata page can't be read: " + std::string(page.error().what()));
    if (!page->crc_holds())
      co_return damaged("the checksum of metadata page " + std::to_string(number) + " does not match");
    if (page->id != format::root_id(root) || page->sequence != sequence) {
      co_return damaged("metadata page " + std::to_string(number) + " belongs to something else");
    }
    if (sequence != 0) draft.node->chain.push_back(number);
    if (auto added = reader.add_page(*page); !added) co_return added;
    if (page->next == format::no_page) break;
    if (page->next >= disk_.layout().md_len) co_return damaged("its metadata goes on outside of the metadata region");
    number = page->next;
  }
  auto metadata = std::move(reader).finish(format::root_id(root));
  if (!metadata) co_return std::unexpected(metadata.error());
  draft.metadata = std::move(*metadata);
  co_return Checked<>{};
}

/// One extent page of a blob, and what was found there.
struct Loader::Extent {
  std::uint32_t index;  ///< of its first cluster in the blob
  std::uint32_t page;
  Checked<std::vector<std::uint32_t>> clusters{};
};

Task<> Loader::read_extent(Extent& extent) {
  const auto page = co_await as_result(disk_.read_page(extent.page));
  if (page) {
    extent.clusters = format::read_extent_page(*page, extent.index, disk_.limits());
  } else {
    extent.clusters = std::unexpected("an extent page can't be read: " + std::string(page.error().what()));
  }
}

Task<Checked<>> Loader::read_extents(Draft& draft) {
  std::vector<Extent> extents;
  std::uint64_t number = 0;
  for (const format::ExtentTableEntry& entry : draft.metadata.table) {
    if (entry.page == 0) {
      number += entry.count;
      continue;
    }
    draft.node->extent_pages.emplace(static_cast<std::uint32_t>(number), entry.page);
    extents.push_back({static_cast<std::uint32_t>(number * format::clusters_per_extent), entry.page});
    ++number;
  }
  const auto read = [this](Extent& extent) { return read_extent(extent); };
  co_await for_each_concurrent(reads_at_once, extents, read);
  for (Extent& extent : extents) {
    if (!extent.clusters) co_return std::unexpected(extent.clusters.error());
    const std::vector<std::uint32_t>& clusters = *extent.clusters;
    const std::uint64_t wanted =
        std::min<std::uint64_t>(format::clusters_per_extent, draft.metadata.num_clusters - extent.index);
    if (clusters.size() > wanted) co_return damaged("an extent page is longer than the blob");
    const bool holes = clusters.size() < wanted || std::ranges::find(clusters, 0U) != clusters.end();
    if (holes && !draft.metadata.thin()) co_return damaged("clusters are missing, but it is not thin");
    draft.extents.emplace_back(extent.index, std::move(*extent.clusters));
  }
  co_return Checked<>{};
}

// ---- all of them together

Loader::Draft* Loader::find(std::uint64_t id) noexcept {
  if ((id & ~std::uint64_t{0xFFFFFFFF}) != format::blob_id_high_bit) return nullptr;
  const auto root = static_cast<std::uint32_t>(id);
  const auto found = std::ranges::lower_bound(drafts_, root, {}, [](const Draft& draft) { return draft.node->root; });
  return found == drafts_.end() || found->node->root != root || found->dropped ? nullptr : &*found;
}

/// A snapshot that was being taken or removed when the power went. Either the other blob knows of it and it stays, or
/// it goes, and leaves what it names to the other.
void Loader::settle_interrupted() {
  for (Draft& draft : drafts_) {
    if (draft.node->is_damaged()) continue;
    const auto taken_of = draft.metadata.internal_id(name::snapshot_in_progress);
    const auto removed_for = draft.metadata.internal_id(name::removal_in_progress);
    if (!taken_of && !removed_for) continue;
    const Draft* other = find(taken_of ? *taken_of : *removed_for);
    const bool other_unknown = other != nullptr && other->node->is_damaged();
    const bool other_needs_it =
        other != nullptr && other->metadata.internal_id(name::parent) == format::root_id(draft.node->root);
    if (!other_unknown && !other_needs_it) {
      draft.dropped = true;
      continue;
    }
    remove_internal(draft.metadata, name::snapshot_in_progress);
    remove_internal(draft.metadata, name::removal_in_progress);
    draft.metadata.flags.data_ro = draft.metadata.flags.data_ro | format::flag::read_only;
    draft.changed = true;
  }
}

Checked<> Loader::claim(Draft& draft) {
  BlobNode& node = *draft.node;
  std::vector<std::uint32_t> pages{node.root};
  pages.insert(pages.end(), node.chain.begin(), node.chain.end());
  for (const auto& [extent, page] : node.extent_pages) pages.push_back(page);

  std::vector<std::uint32_t> taken_pages;
  std::vector<format::ClusterRun> taken;
  std::string conflict;
  const auto take = [&](std::uint32_t cluster) {
    if (!store_.used_clusters_.take(cluster)) {
      conflict = "cluster " + std::to_string(cluster) + " belongs to another blob";
      return false;
    }
    if (!taken.empty() && taken.back().cluster + taken.back().count == cluster) {
      taken.back().count = taken.back().count + 1;
    } else {
      taken.push_back({.cluster = cluster, .count = 1});
    }
    return true;
  };
  for (const std::uint32_t page : pages) {
    if (!store_.used_pages_.take(page)) {
      conflict = "metadata page " + std::to_string(page) + " belongs to another blob";
      break;
    }
    taken_pages.push_back(page);
  }
  for (const auto& run : draft.metadata.runs) {
    if (!conflict.empty()) break;
    for (std::uint32_t i = 0; run.cluster != 0 && i < run.count && take(run.cluster + i); ++i) {
    }
  }
  for (const auto& [first, clusters] : draft.extents) {
    if (!conflict.empty()) break;
    std::ranges::all_of(clusters, [&](std::uint32_t cluster) { return cluster == 0 || take(cluster); });
  }
  if (!conflict.empty()) {
    for (const std::uint32_t page : taken_pages) store_.used_pages_.release(page);
    for (const auto& run : taken) {
      for (std::uint32_t i = 0; i < run.count; ++i) store_.used_clusters_.release(run.cluster + i);
    }
    return damaged(conflict);
  }

  std::uint64_t index = 0;
  for (const auto& run : draft.metadata.runs) {
    for (std::uint32_t i = 0; run.cluster != 0 && i < run.count; ++i) node.map->set(index + i, run.cluster + i);
    index += run.count;
  }
  for (const auto& [first, clusters] : draft.extents) {
    for (std::size_t i = 0; i < clusters.size(); ++i) {
      if (clusters[i] != 0) node.map->set(first + i, clusters[i]);
    }
  }
  node.map->set_size(draft.metadata.num_clusters);
  return {};
}

/// So that nothing else overwrites what may still be saved.
void Loader::claim_what_is_free(const Draft& draft) {
  store_.used_pages_.take(draft.node->root);
  for (const std::uint32_t page : draft.node->chain) store_.used_pages_.take(page);
  for (const auto& [extent, page] : draft.node->extent_pages) store_.used_pages_.take(page);
  for (const auto& run : draft.metadata.runs) {
    for (std::uint32_t i = 0; run.cluster != 0 && i < run.count; ++i) store_.used_clusters_.take(run.cluster + i);
  }
  for (const auto& [first, clusters] : draft.extents) {
    for (const std::uint32_t cluster : clusters) {
      if (cluster != 0) store_.used_clusters_.take(cluster);
    }
  }
}

void Loader::claim_all() {
  const format::Layout& layout = disk_.layout();
  store_.used_pages_.resize(layout.md_len);
  store_.used_clusters_.resize(layout.total_clusters);
  for (std::uint32_t cluster = 0; cluster < layout.metadata_clusters; ++cluster) store_.used_clusters_.take(cluster);
  for (Draft& draft : drafts_) {
    if (draft.dropped || draft.node->is_damaged()) continue;
    if (const auto claimed = claim(draft); !claimed) draft.node->damage = claimed.error();
  }
  for (Draft& draft : drafts_) {
    if (draft.dropped) continue;
    if (draft.node->is_damaged()) {
      claim_what_is_free(draft);
      store_.leaked_ = true;
    }
    BlobNode& node = *draft.node;
    node.xattrs = std::move(draft.metadata.xattrs);
    node.extent_table = draft.metadata.extent_table;
    node.internal_xattrs = draft.metadata.internal_xattrs;
    node.set_flags(draft.metadata.flags);
    if (!node.is_damaged() && (node.flags.invalid & format::flag::external_snapshot) != 0) {
      const auto id = node.internal_xattrs.find(name::external_snapshot);
      if (id == node.internal_xattrs.end() || id->second.empty()) {
        node.damage = "it is a clone of an external snapshot, but does not say of which";
      } else if (node.internal_xattrs.contains(name::parent)) {
        node.damage = "it is a clone of two snapshots";
      } else {
        node.external = store_.add_external(id->second);
      }
    }
    store_.nodes_.emplace(node.root, std::move(draft.node));
  }
}

void Loader::connect_clones() {
  for (const auto& [root, node] : store_.nodes_) {
    const auto found = node->internal_xattrs.find(name::parent);
    if (found == node->internal_xattrs.end()) continue;
    format::Le64 id = 0;
    if (found->second.size() == sizeof(id)) std::memcpy(static_cast<void*>(&id), found->second.data(), sizeof(id));
    BlobNode* parent = store_.find(BlobId{id});
    if (parent == nullptr) {
      if (!node->is_damaged()) node->damage = "the snapshot that it is a clone of is missing";
      continue;
    }
    store_.set_parent(*node, parent);
    parent->data_ro = true;
  }
  // Up from each blob, until one that is known: what depends on a damaged blob, or on itself, can't be used.
  enum class State { unknown, on_the_way, good, bad };
  std::map<const BlobNode*, State> states;
  for (const auto& [root, start] : store_.nodes_) {
    std::vector<BlobNode*> way;
    BlobNode* at = start.get();
    while (at != nullptr && states[at] == State::unknown) {
      states[at] = State::on_the_way;
      way.push_back(at);
      const BlobNode* above = at->parent.load(std::memory_order_relaxed);
      at = above == nullptr ? nullptr : store_.nodes_.at(above->root).get();
    }
    const bool loops = at != nullptr && states[at] == State::on_the_way;
    bool bad = loops || (at != nullptr && states[at] == State::bad);
    for (BlobNode* node : way | std::views::reverse) {
      if (bad && !node->is_damaged()) {
        node->damage = loops ? "it is a clone of itself" : "the snapshot that it is a clone of is damaged";
      }
      bad = bad || node->is_damaged();
      states[node] = bad ? State::bad : State::good;
    }
  }
  for (const auto& [root, node] : store_.nodes_) {
    if (!node->is_damaged()) continue;
    log::error("blobstore on {}: blob {} is damaged: {}", disk_.device().name(), to_string(node->id()), node->damage);
  }
}

Task<> Loader::write_changes() {
  const ErrorContext doing("settling what was left half done");
  std::uint32_t end = 0;
  for (auto page = store_.used_pages_.next_used(0); page; page = store_.used_pages_.next_used(*page + 1)) {
    end = *page + 1;
  }
  for (const Draft& draft : drafts_) {
    if (draft.dropped) end = std::max(end, draft.root + 1);
  }
  disk_.set_high_water(end);
  // First what goes: its pages may be taken by what is written next.
  for (Draft& draft : drafts_) {
    if (!draft.dropped) continue;
    log::info("blobstore on {}: dropped snapshot {}, which was not finished when the power went", disk_.device().name(),
              to_string(draft.node->id()));
    co_await store_.erase(*draft.node);
  }
  for (Draft& draft : drafts_) {
    if (draft.dropped) continue;
    BlobNode& node = *store_.nodes_.at(draft.root);
    if (draft.changed && !node.is_damaged()) co_await store_.persist(node, node.map->size(), {}, {});
  }
}

}  // namespace spdkio::blob
