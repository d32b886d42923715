// Snapshots, clones, and blobs that become clones or stop being such. Every step leaves a store that a recovery
// understands: a blob in the middle of it says so in an internal xattr.
#include <algorithm>
#include <exception>
#include <utility>

#include "blob/store.hpp"

namespace spdkio::blob {

namespace name = format::internal_name;

namespace {

/// Puts back what it kept, unless told not to.
class Undo {
 public:
  explicit Undo(BlobNode& node) : node_(node), flags_(node.flags), xattrs_(node.internal_xattrs) {}
  Undo(const Undo&) = delete;
  ~Undo() {
    if (keep_) return;
    node_.set_flags(flags_);
    node_.internal_xattrs = std::move(xattrs_);
  }
  void keep() noexcept { keep_ = true; }

 private:
  BlobNode& node_;
  format::FlagsDescriptor flags_;
  format::Xattrs xattrs_;
  bool keep_ = false;
};

std::vector<std::byte> id_bytes(BlobId id) {
  const format::Le64 value = id.value;
  const auto bytes = std::as_bytes(std::span(&value, 1));
  return {bytes.begin(), bytes.end()};
}

void set_internal(BlobNode& node, std::string_view which, std::vector<std::byte> value) {
  node.internal_xattrs.insert_or_assign(std::string(which), std::move(value));
  node.flags.invalid = node.flags.invalid | format::flag::internal_xattrs;
}

void remove_internal(BlobNode& node, std::string_view which) {
  if (const auto found = node.internal_xattrs.find(which); found != node.internal_xattrs.end()) {
    node.internal_xattrs.erase(found);
  }
  if (node.internal_xattrs.empty()) node.flags.invalid = node.flags.invalid & ~format::flag::internal_xattrs;
}

/// Writes down where a blob's content comes from: the snapshot `next`, what the snapshot `former` starts from when that
/// is `external`, or nothing.
void name_source(BlobNode& node, const BlobNode* next, const BlobNode* former, bool external) {
  remove_internal(node, name::parent);
  remove_internal(node, name::external_snapshot);
  node.flags.invalid = node.flags.invalid & ~format::flag::external_snapshot;
  if (next != nullptr) {
    set_internal(node, name::parent, id_bytes(next->id()));
  } else if (external) {
    const auto id = former->internal_xattrs.find(name::external_snapshot);
    set_internal(node, name::external_snapshot, id->second);
    node.flags.invalid = node.flags.invalid | format::flag::external_snapshot;
  }
}

}  // namespace

Task<BlobId> Store::snapshot(BlobId of, format::Xattrs xattrs) {
  const auto operations = co_await operations_.lock();
  BlobNode& origin = get(of);
  if (origin.is_damaged()) throw Error(std::errc::illegal_byte_sequence, origin.damage);
  if (origin.data_ro || origin.md_ro) {
    throw Error(Misuse::read_only, "blob " + to_string(of) + " is read-only").with_hint("clone it instead");
  }
  require_certain(origin);

  auto made = std::make_unique<BlobNode>(take_root());
  BlobNode& snapshot = *made;
  const BlobId id = snapshot.id();
  std::exception_ptr failure;
  try {
    co_await freeze(origin);
  } catch (...) {
    used_pages_.release(snapshot.root);
    throw;
  }
  try {
    const auto metadata = co_await metadata_.lock();
    BlobNode* const parent = origin.parent.load(std::memory_order_relaxed) == nullptr
                                 ? nullptr
                                 : nodes_.at(origin.parent.load()->root).get();
    // 1. The snapshot, with all that the blob has; it says that the blob does not know of it yet.
    snapshot.extent_table = origin.extent_table;
    snapshot.xattrs = std::move(xattrs);
    snapshot.internal_xattrs = origin.internal_xattrs;
    snapshot.flags = origin.flags;
    set_internal(snapshot, name::snapshot_in_progress, id_bytes(of));
    snapshot.set_flags(snapshot.flags);
    snapshot.extent_pages = origin.extent_pages;
    std::swap(snapshot.map, origin.map);
    snapshot.external = origin.external.load();
    bool created = false;
    bool took_over = false;
    Undo undo(origin);
    const std::uint64_t size = snapshot.map->size();
    origin.map->set_size(size);
    nodes_.emplace(snapshot.root, std::move(made));
    try {
      co_await persist(snapshot, size, {}, {});
      created = true;
      // 2. The blob refers to it, and has nothing of its own.
      set_internal(origin, name::parent, id_bytes(snapshot.id()));
      remove_internal(origin, name::external_snapshot);
      origin.flags.invalid = (origin.flags.invalid | format::flag::thin) & ~format::flag::external_snapshot;
      origin.extent_pages.clear();
      co_await persist(origin, size, {}, {});
      undo.keep();
      took_over = true;
      origin.set_flags(origin.flags);
      set_parent(origin, nullptr);
      set_parent(snapshot, parent);
      set_parent(origin, &snapshot);
      origin.external = nullptr;
      // 3. It is done. A recovery would do this step.
      remove_internal(snapshot, name::snapshot_in_progress);
      snapshot.flags.data_ro = snapshot.flags.data_ro | format::flag::read_only;
      snapshot.set_flags(snapshot.flags);
      co_await persist(snapshot, size, {}, {});
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure && !took_over) {
      std::swap(snapshot.map, origin.map);
      origin.extent_pages = snapshot.extent_pages;
      // After an uncertain write nobody knows which of the two the disk has: both stay as they are until a recovery.
      if (created && !origin.uncertain && !snapshot.uncertain) {
        try {
          co_await erase(snapshot);
          for (const std::uint32_t page : snapshot.chain) used_pages_.release(page);
        } catch (...) {
          origin.uncertain = true;
        }
      }
      if (snapshot.uncertain) origin.uncertain = true;
      const std::uint32_t root = snapshot.root;
      const bool leak = origin.uncertain;
      nodes_.erase(root);
      if (!leak) used_pages_.release(root);
    }
  } catch (...) {
    failure = std::current_exception();
  }
  co_await thaw(origin);
  if (failure) std::rethrow_exception(failure);
  co_return id;
}

Task<BlobId> Store::clone(BlobId of, format::Xattrs xattrs) {
  const auto operations = co_await operations_.lock();
  BlobNode& origin = get(of);
  if (origin.is_damaged()) throw Error(std::errc::illegal_byte_sequence, origin.damage);
  if (!origin.data_ro) {
    throw Error(Misuse::invalid_argument, "blob " + to_string(of) + " is not read-only")
        .with_hint("take a snapshot of it and clone that");
  }
  require_certain(origin);
  auto made = std::make_unique<BlobNode>(take_root());
  BlobNode& node = *made;
  node.flags.invalid = format::flag::extent_table | format::flag::thin;
  node.flags.md_ro = origin.flags.md_ro & format::flag::clear_method_mask;
  set_internal(node, name::parent, id_bytes(of));
  node.set_flags(node.flags);
  node.xattrs = std::move(xattrs);
  const BlobId id = node.id();
  co_await create_node(std::move(made), origin.map->size(), {});
  set_parent(node, &origin);
  co_return id;
}

Task<> Store::inflate(BlobNode& node, bool all) {
  const auto operations = co_await operations_.lock();
  if (node.data_ro || node.md_ro) throw Error(Misuse::read_only, "blob " + to_string(node.id()) + " is read-only");
  require_certain(node);
  const BlobNode* const parent = node.parent.load(std::memory_order_relaxed);
  ExternalSnapshot* const external = node.external.load();
  if (parent == nullptr && external == nullptr && !all) {
    throw Error(Misuse::invalid_argument, "blob " + to_string(node.id()) + " is not a clone");
  }
  const std::uint64_t size = node.map->size();
  for (std::uint64_t index = 0; index < size; ++index) {
    if (node.map->find(index) != 0) continue;
    const bool in_parent = parent != nullptr ? index < parent->map->size() && parent->map->find(index) != 0
                                             : external != nullptr && resolve(node, index).external != nullptr;
    if (!all && !in_parent) continue;
    co_await allocate(node, index, 1, {}, 0, 0);
  }
  co_await freeze(node);
  std::exception_ptr failure;
  try {
    const auto metadata = co_await metadata_.lock();
    Undo undo(node);
    BlobNode* const next = all || parent == nullptr || parent->parent.load() == nullptr
                               ? nullptr
                               : nodes_.at(parent->parent.load()->root).get();
    ExternalSnapshot* const next_external = all || parent == nullptr ? nullptr : parent->external.load();
    name_source(node, next, parent == nullptr ? nullptr : nodes_.at(parent->root).get(), next_external != nullptr);
    if (all) node.flags.invalid = node.flags.invalid & ~format::flag::thin;
    co_await persist(node, size, {}, {});
    undo.keep();
    node.set_flags(node.flags);
    node.external = next_external;
    set_parent(node, next);
  } catch (...) {
    failure = std::current_exception();
  }
  co_await thaw(node);
  if (failure) std::rethrow_exception(failure);
  co_await close_externals();
}

void Store::require_new_parent(const BlobNode& node) const {
  if (node.is_damaged()) throw Error(std::errc::illegal_byte_sequence, node.damage);
  require_certain(node);
  if (node.is_thin()) return;
  throw Error(Misuse::invalid_argument,
              "blob " + to_string(node.id()) + " is not thin: it has clusters for everything");
}

Task<> Store::set_snapshot(BlobNode& node, BlobId of) {
  const auto operations = co_await operations_.lock();
  BlobNode& next = get(of);
  require_new_parent(node);
  if (next.is_damaged()) throw Error(std::errc::illegal_byte_sequence, next.damage);
  const auto refuse = [&](const std::string& why) {
    return Error(Misuse::invalid_argument, "blob " + to_string(of) + why);
  };
  if (!next.data_ro) throw refuse(" is no snapshot: it can be written");
  if (next.map->size() != node.map->size()) throw refuse(" is not as large as the blob");
  for (const BlobNode* at = &next; at != nullptr; at = at->parent.load(std::memory_order_relaxed)) {
    if (at == &node) throw refuse(" is the blob or starts from it");
  }
  if (node.parent.load(std::memory_order_relaxed) == &next) {
    throw Error(std::errc::file_exists, "blob " + to_string(of) + " is the parent already");
  }
  if (ExternalSnapshot* external = external_below(next); external != nullptr && node.open_count != 0) {
    const auto opening = co_await opening_externals_.lock();
    co_await external->open(block_size_);
  }
  auto replacing = replace_source(node, &next, nullptr, {});
  co_await std::move(replacing);
}

Task<> Store::set_external_snapshot(BlobNode& node, std::string id) {
  const auto operations = co_await operations_.lock();
  require_new_parent(node);
  const std::span<const std::byte> bytes = std::as_bytes(std::span(id));
  require_external_id(bytes);
  ExternalSnapshot* const external = add_external(bytes);
  {
    const auto opening = co_await opening_externals_.lock();
    co_await external->open(block_size_);
  }
  std::exception_ptr failure;
  try {
    const ExternalSnapshot* const former = node.external.load();
    if (!external->there()) throw Error(std::errc::no_such_device, external->reason()).with_device(external->name());
    if (former != nullptr && former->name() == external->name()) {
      throw Error(std::errc::file_exists, "the blob starts from it already").with_device(external->name());
    }
    auto replacing = replace_source(node, nullptr, external, {bytes.begin(), bytes.end()});
    co_await std::move(replacing);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await close_externals();
    std::rethrow_exception(failure);
  }
}

Task<> Store::replace_source(BlobNode& node, BlobNode* next, ExternalSnapshot* external,
                             std::vector<std::byte> external_id) {
  std::exception_ptr failure;
  co_await freeze(node);
  try {
    const auto metadata = co_await metadata_.lock();
    Undo undo(node);
    remove_internal(node, name::parent);
    remove_internal(node, name::external_snapshot);
    node.flags.invalid = node.flags.invalid & ~format::flag::external_snapshot;
    if (next != nullptr) {
      set_internal(node, name::parent, id_bytes(next->id()));
    } else {
      set_internal(node, name::external_snapshot, std::move(external_id));
      node.flags.invalid = node.flags.invalid | format::flag::external_snapshot;
    }
    co_await persist(node, node.map->size(), {}, {});
    undo.keep();
    node.set_flags(node.flags);
    node.external = external;
    set_parent(node, next);
  } catch (...) {
    failure = std::current_exception();
  }
  co_await thaw(node);
  // Clones of the blob were not frozen: a read of theirs may still be on its way through the former parent.
  co_await quiesce();
  if (failure) std::rethrow_exception(failure);
  co_await close_externals();
}

Task<> Store::remove_snapshot_of(BlobNode& node, BlobNode& clone) {
  require_certain(clone);
  co_await freeze(clone);
  std::exception_ptr failure;
  BlobNode* next = nullptr;
  ExternalSnapshot* const next_external = node.external.load();
  Overlay overlay;
  try {
    const auto metadata = co_await metadata_.lock();
    Undo undo(node);
    // 1. From here on a recovery looks at the clone to see whether the snapshot is still needed.
    set_internal(node, name::removal_in_progress, id_bytes(clone.id()));
    co_await persist(node, node.map->size(), {}, {});
    // 2. The clone gets what it shares.
    std::set<std::uint32_t> extents;
    node.map->for_each_allocated(0, std::min(node.map->size(), clone.map->size()),
                                 [&](std::uint64_t index, std::uint32_t cluster) {
                                   if (clone.map->find(index) != 0) return;
                                   overlay[index] = cluster;
                                   extents.insert(static_cast<std::uint32_t>(index / format::clusters_per_extent));
                                 });
    const BlobNode* const above = node.parent.load(std::memory_order_relaxed);
    next = above == nullptr ? nullptr : nodes_.at(above->root).get();
    {
      Undo undo_clone(clone);
      name_source(clone, next, &node, next_external != nullptr);
      co_await persist(clone, clone.map->size(), std::move(extents), overlay);
      undo_clone.keep();
    }
    undo.keep();
    clone.set_flags(clone.flags);
    for (const auto& [index, cluster] : overlay) clone.map->set(index, cluster);
    clone.external = next_external;
  } catch (...) {
    failure = std::current_exception();
    // What is on the disk says that the removal has begun, which is harmless; but it may also say that it is done.
    if (clone.uncertain) node.uncertain = true;
  }
  try {
    // Clones of the clone are not frozen: a read of theirs that missed the new entries must end before it can miss the
    // old ones too.
    if (!failure) {
      co_await quiesce();
      set_parent(clone, next);
      co_await quiesce();
      node.external = nullptr;
      for (const auto& [index, cluster] : overlay) node.map->set(index, 0);
    }
  } catch (...) {
    failure = std::current_exception();
    node.uncertain = true;  // the clone has what is listed here too
  }
  co_await thaw(clone);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace spdkio::blob
