#include <spdkio/blob/blobstore.hpp>

#include <spdkio/base/log.hpp>
#include <spdkio/bdev/bdev.hpp>

#include <utility>

#include "blob/store.hpp"

namespace spdkio::blob {
namespace {

/// The store is made where the device was opened; if it fails, the device is closed before the error is thrown.
Task<std::shared_ptr<Store>> init_on(BdevDesc device, StoreOptions options, std::string type) {
  options.type = {};
  const auto store = std::make_shared<Store>(std::move(device));
  std::exception_ptr failure;
  try {
    co_await store->run(store->init(options, std::move(type)), "blobstore init");
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await store->abandon();
    std::rethrow_exception(failure);
  }
  co_return store;
}

Task<std::shared_ptr<Store>> load_on(BdevDesc device, std::string type, bool recover) {
  const auto store = std::make_shared<Store>(std::move(device));
  std::exception_ptr failure;
  try {
    co_await store->run(store->load(std::move(type), recover), "blobstore load");
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await store->abandon();
    std::rethrow_exception(failure);
  }
  co_return store;
}

Task<std::shared_ptr<Store>> init_named(std::string name, StoreOptions options, std::string type) {
  BdevDesc device = co_await BdevDesc::open(name, Access::read_write);
  co_return co_await init_on(std::move(device), options, std::move(type));
}

Task<std::shared_ptr<Store>> load_named(std::string name, std::string type, bool recover) {
  BdevDesc device = co_await BdevDesc::open(name, Access::read_write);
  co_return co_await load_on(std::move(device), std::move(type), recover);
}

format::Xattrs checked(std::span<const XattrView> views) {
  format::Xattrs xattrs;
  for (const XattrView& view : views) {
    if (view.name.empty() || view.name.size() + view.value.size() > format::max_xattr_bytes) {
      throw Error(Misuse::invalid_argument, "name and value of an xattr must be 1 to " +
                                                std::to_string(format::max_xattr_bytes) + " bytes together");
    }
    xattrs.insert_or_assign(std::string(view.name), std::vector<std::byte>(view.value.begin(), view.value.end()));
  }
  return xattrs;
}

Task<> unload_store(std::shared_ptr<Store> store) { co_await store->unload(); }
Task<> destroy_store(std::shared_ptr<Store> store) { co_await store->destroy(); }

}  // namespace

Task<Blobstore> Blobstore::finish(Task<std::shared_ptr<Store>> making) {
  co_return Blobstore{co_await std::move(making)};
}

Task<Blobstore> Blobstore::init(std::string_view bdev, const StoreOptions& options) {
  return finish(init_named(std::string(bdev), options, std::string(options.type)));
}
Task<Blobstore> Blobstore::init(BdevDesc device, const StoreOptions& options) {
  return finish(init_on(std::move(device), options, std::string(options.type)));
}
Task<Blobstore> Blobstore::load(std::string_view bdev, const LoadOptions& options) {
  return finish(load_named(std::string(bdev), std::string(options.type), options.recover));
}
Task<Blobstore> Blobstore::load(BdevDesc device, const LoadOptions& options) {
  return finish(load_on(std::move(device), std::string(options.type), options.recover));
}

Blobstore::~Blobstore() {
  if (store_ == nullptr || !store_->loaded()) return;
  log::warn("blobstore on {} was not unloaded: the next load has to recover it", store_->device().name());
}

Store& Blobstore::loaded() const {
  if (store_ == nullptr || !store_->loaded()) throw Error(Misuse::already_closed, "the blobstore is not loaded");
  return *store_;
}

Task<> Blobstore::unload() { return loaded().run(unload_store(store_), "blobstore unload"); }
Task<> Blobstore::destroy() { return loaded().run(destroy_store(store_), "blobstore destroy"); }

std::string Blobstore::type() const { return loaded().type(); }
std::uint32_t Blobstore::cluster_size() const { return loaded().layout().cluster_size; }
std::uint32_t Blobstore::block_size() const { return loaded().block_size(); }
std::uint64_t Blobstore::total_clusters() const {
  const format::Layout& layout = loaded().layout();
  return layout.total_clusters - layout.metadata_clusters;
}
std::uint64_t Blobstore::free_clusters() const { return loaded().clusters().free(); }
std::uint64_t Blobstore::free_metadata_pages() const { return loaded().pages().free(); }
const std::string& Blobstore::bdev_name() const { return loaded().device().name(); }
bool Blobstore::recovered() const { return loaded().recovered(); }

BlobChannel Blobstore::io_channel() const { return BlobChannel{loaded().make_channel()}; }

Task<BlobId> Blobstore::create(const BlobOptions& options) {
  Store& store = loaded();
  return store.run(store.create(options.num_clusters, options.thin, options.clear_method, checked(options.xattrs),
                                std::string(options.external_snapshot)),
                   "blob create");
}

Task<Blob> Blobstore::open_in(std::shared_ptr<Store> store, BlobId id) {
  BlobNode* const node = co_await store->run(store->open(id), "blob open", id);
  co_return Blob{std::move(store), *node};
}
Task<Blob> Blobstore::open(BlobId id) {
  loaded();
  return open_in(store_, id);
}

Task<> Blobstore::remove(BlobId id) { return loaded().run(store_->remove(id), "blob remove", id); }

std::vector<BlobId> Blobstore::blobs() const {
  std::vector<BlobId> ids;
  for (const auto& [page, node] : loaded().nodes()) {
    if (!node->is_damaged()) ids.push_back(node->id());
  }
  return ids;
}

BlobInfo Blobstore::info(BlobId id) const {
  const BlobNode& node = loaded().get(id);
  const BlobNode* parent = node.parent.load(std::memory_order_relaxed);
  BlobInfo info;
  info.id = id;
  info.num_clusters = node.map->size();
  info.allocated_clusters = node.map->allocated();
  info.thin = node.is_thin();
  info.read_only = node.data_ro;
  if (parent != nullptr) info.parent = parent->id();
  for (const BlobNode* clone : node.clones) info.clones.push_back(clone->id());
  if (const ExternalSnapshot* external = node.external.load()) info.external_snapshot = external->name();
  info.open_count = node.open_count;
  return info;
}

std::vector<DamagedBlob> Blobstore::damaged() const {
  std::vector<DamagedBlob> list;
  for (const auto& [page, node] : loaded().nodes()) {
    if (node->is_damaged()) list.push_back({node->id(), node->damage});
  }
  return list;
}

Task<BlobId> Blobstore::snapshot(BlobId of, std::span<const XattrView> xattrs) {
  return loaded().run(store_->snapshot(of, checked(xattrs)), "blob snapshot", of);
}
Task<BlobId> Blobstore::clone(BlobId of, std::span<const XattrView> xattrs) {
  return loaded().run(store_->clone(of, checked(xattrs)), "blob clone", of);
}

BlobId Blobstore::super_blob() const { return BlobId{loaded().disk().super().super_blob}; }
Task<> Blobstore::set_super_blob(BlobId id) { return loaded().run(store_->set_super_blob(id), "blobstore super"); }
Task<> Blobstore::grow() { return loaded().run(store_->grow(), "blobstore grow"); }

}  // namespace spdkio::blob
