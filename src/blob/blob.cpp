#include <spdkio/blob/blob.hpp>

#include <spdkio/base/log.hpp>

#include <algorithm>
#include <utility>

#include "blob/data_path.hpp"
#include "blob/store.hpp"

namespace spdkio::blob {
namespace {

std::uint64_t total(DmaSpans spans) noexcept {
  std::uint64_t bytes = 0;
  for (const DmaSpan& span : spans) bytes += span.size();
  return bytes;
}

// Coroutines around the path: it is made when they are awaited, and lives in their frame with all they were given.

Task<> read_list(Store& store, BlobNode& node, const BlobChannel& channel, DmaSpans into, std::uint64_t from) {
  const DataPath path(store, node, channel, from, total(into), false);
  co_await path.read(into);
}
Task<> read_one(Store& store, BlobNode& node, const BlobChannel& channel, DmaSpan into, std::uint64_t from) {
  const DataPath path(store, node, channel, from, into.size(), false);
  co_await path.read(DmaSpans{&into, 1});
}
Task<> write_list(Store& store, BlobNode& node, const BlobChannel& channel, DmaSpans data, std::uint64_t to) {
  const DataPath path(store, node, channel, to, total(data), true);
  co_await path.write(data);
}
Task<> write_one(Store& store, BlobNode& node, const BlobChannel& channel, DmaSpan data, std::uint64_t to) {
  const DataPath path(store, node, channel, to, data.size(), true);
  co_await path.write(DmaSpans{&data, 1});
}
Task<> zero_range(Store& store, BlobNode& node, const BlobChannel& channel, ByteRange range) {
  const DataPath path(store, node, channel, range.first.value, range.count.value, true);
  co_await path.write_zeroes();
}
Task<> unmap_range(Store& store, BlobNode& node, const BlobChannel& channel, ByteRange range) {
  const DataPath path(store, node, channel, range.first.value, range.count.value, true);
  co_await path.unmap();
}
Task<> flush_store(Store& store, const BlobChannel& channel) {
  if (!channel) throw Error(Misuse::already_closed, "the channel is not open");
  if (store.device().supports(bdev::IoType::flush)) co_await store.device().flush(channel.state()->io);
}
Task<> sync_and_close(std::shared_ptr<Store> store, BlobNode& node) {
  if (node.unsynced && !node.uncertain) co_await store->sync(node);
  co_await store->close(node);
}

}  // namespace

Blob::Blob(Blob&& other) noexcept : store_(std::move(other.store_)), node_(std::exchange(other.node_, nullptr)) {}

Blob& Blob::operator=(Blob&& other) noexcept {
  if (this != &other) {
    drop();
    store_ = std::move(other.store_);
    node_ = std::exchange(other.node_, nullptr);
  }
  return *this;
}

Blob::~Blob() { drop(); }

void Blob::drop() noexcept {
  if (node_ == nullptr) return;
  log::warn("blob {} was not closed", to_string(node_->id()));
  BlobNode* const node = std::exchange(node_, nullptr);
  // Gone with its Thread if that has ended.
  if (store_->home().is_current()) {
    store_->close_now(*node);
  } else {
    (void)store_->home().send([store = store_, node] { store->close_now(*node); });
  }
}

BlobNode& Blob::open_node() const {
  if (node_ == nullptr) throw Error(Misuse::already_closed, "the blob is not open");
  return *node_;
}

Task<> Blob::close() {
  BlobNode& node = open_node();
  node_ = nullptr;
  return store_->run(sync_and_close(store_, node), "blob close", node.id());
}

BlobId Blob::id() const { return open_node().id(); }
std::uint64_t Blob::num_clusters() const { return open_node().map->size(); }
ByteCount Blob::size() const { return ByteCount{num_clusters() * store_->layout().cluster_size}; }
ByteCount Blob::allocated() const { return ByteCount{open_node().map->allocated() * store_->layout().cluster_size}; }
bool Blob::thin() const { return open_node().is_thin(); }
bool Blob::read_only() const { return open_node().data_ro; }

// ---- data

Task<> Blob::read(const BlobChannel& channel, DmaSpan into, ByteOffset from) const {
  return read_one(*store_, open_node(), channel, into, from.value);
}
Task<> Blob::read(const BlobChannel& channel, DmaSpans into, ByteOffset from) const {
  return read_list(*store_, open_node(), channel, into, from.value);
}
Task<> Blob::write(const BlobChannel& channel, DmaSpan data, ByteOffset to) const {
  return write_one(*store_, open_node(), channel, data, to.value);
}
Task<> Blob::write(const BlobChannel& channel, DmaSpans data, ByteOffset to) const {
  return write_list(*store_, open_node(), channel, data, to.value);
}
Task<> Blob::write_zeroes(const BlobChannel& channel, ByteRange range) const {
  return zero_range(*store_, open_node(), channel, range);
}
Task<> Blob::unmap(const BlobChannel& channel, ByteRange range) const {
  return unmap_range(*store_, open_node(), channel, range);
}
Task<> Blob::flush(const BlobChannel& channel) const {
  open_node();
  return flush_store(*store_, channel);
}

std::optional<ByteOffset> Blob::seek_data(ByteOffset from) const {
  const BlobNode& node = open_node();
  const std::uint64_t size = store_->layout().cluster_size;
  const std::uint64_t end = node.map->size();
  const std::uint64_t first = from.value / size;
  if (first >= end) return std::nullopt;
  // What an external snapshot has is not known: it counts as data.
  if (store_->resolve(node, first).external != nullptr) return from;
  // The nearest of what each blob up the line has; one that is shorter hides those above it beyond its end.
  std::uint64_t nearest = end;
  std::uint64_t visible = end;
  for (const BlobNode* at = &node; at != nullptr; at = at->parent.load(std::memory_order_acquire)) {
    visible = std::min(visible, at->map->size());
    const std::uint64_t limit = std::min(nearest, visible);
    if (first >= limit) break;
    if (const std::uint64_t found = at->map->next_allocated(first, limit); found < limit) nearest = found;
  }
  if (nearest >= end) return std::nullopt;
  return ByteOffset{std::max(nearest * size, from.value)};
}

std::optional<ByteOffset> Blob::seek_hole(ByteOffset from) const {
  const BlobNode& node = open_node();
  const std::uint64_t size = store_->layout().cluster_size;
  const std::uint64_t end = node.map->size();
  std::uint64_t index = from.value / size;
  while (index < end && !store_->resolve(node, index).nowhere()) ++index;
  if (index >= end) return std::nullopt;
  return ByteOffset{std::max(index * size, from.value)};
}

// ---- metadata

Task<> Blob::resize(std::uint64_t num_clusters) {
  return store_->run(store_->resize(open_node(), num_clusters), "blob resize", open_node().id());
}
Task<> Blob::set_read_only() {
  return store_->run(store_->set_read_only(open_node()), "blob set_read_only", open_node().id());
}
Task<> Blob::sync() { return store_->run(store_->sync(open_node()), "blob sync", open_node().id()); }

void Blob::set_xattr(std::string_view name, std::span<const std::byte> value) {
  BlobNode& node = open_node();
  if (node.md_ro) throw Error(Misuse::read_only, "blob " + to_string(node.id()) + " is read-only");
  if (name.empty() || name.size() + value.size() > format::max_xattr_bytes) {
    throw Error(Misuse::invalid_argument, "name and value of an xattr must be 1 to " +
                                              std::to_string(format::max_xattr_bytes) + " bytes together");
  }
  node.xattrs.insert_or_assign(std::string(name), std::vector<std::byte>(value.begin(), value.end()));
  node.unsynced = true;
}
void Blob::set_xattr(std::string_view name, std::string_view value) {
  set_xattr(name, std::as_bytes(std::span(value)));
}
void Blob::remove_xattr(std::string_view name) {
  BlobNode& node = open_node();
  if (node.md_ro) throw Error(Misuse::read_only, "blob " + to_string(node.id()) + " is read-only");
  const auto found = node.xattrs.find(name);
  if (found == node.xattrs.end()) {
    throw Error(std::errc::no_such_file_or_directory, "the blob has no xattr \"" + std::string(name) + "\"");
  }
  node.xattrs.erase(found);
  node.unsynced = true;
}
std::optional<std::vector<std::byte>> Blob::xattr(std::string_view name) const {
  const BlobNode& node = open_node();
  const auto found = node.xattrs.find(name);
  if (found == node.xattrs.end()) return std::nullopt;
  return found->second;
}
std::vector<std::string> Blob::xattr_names() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : open_node().xattrs) names.push_back(name);
  return names;
}

// ---- snapshots

BlobId Blob::parent() const {
  const BlobNode* parent = open_node().parent.load(std::memory_order_acquire);
  return parent == nullptr ? BlobId{} : parent->id();
}
bool Blob::is_snapshot() const { return blob::is_snapshot(open_node()); }
bool Blob::is_clone() const { return parent().valid(); }
std::string Blob::external_snapshot() const {
  const ExternalSnapshot* external = open_node().external.load(std::memory_order_acquire);
  return external == nullptr ? std::string{} : external->name();
}
bool Blob::degraded() const {
  const ExternalSnapshot* external = Store::external_below(open_node());
  return external != nullptr && !external->there();
}
Task<> Blob::inflate() { return store_->run(store_->inflate(open_node(), true), "blob inflate", open_node().id()); }
Task<> Blob::decouple_parent() {
  return store_->run(store_->inflate(open_node(), false), "blob decouple_parent", open_node().id());
}
Task<> Blob::set_parent(BlobId of) {
  return store_->run(store_->set_snapshot(open_node(), of), "blob set_parent", open_node().id());
}
Task<> Blob::set_external_parent(std::string_view name) {
  return store_->run(store_->set_external_snapshot(open_node(), std::string(name)), "blob set_external_parent",
                     open_node().id());
}
Task<> Blob::shallow_copy(BdevDesc& to, CopyProgress& progress) const {
  return store_->copy_own_clusters(open_node(), to, progress);
}

}  // namespace spdkio::blob
