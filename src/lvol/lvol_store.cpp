#include "lvol/lvol_store.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "blob/store.hpp"
#include "lvol/lvol_device.hpp"

namespace spdkio::lvol {

using blob::BlobId;

namespace {

/// SPDK's limit, with the zero at the end.
constexpr std::size_t max_name = 64;

void check_name(const std::string& name) {
  if (name.empty() || name.size() >= max_name || name.contains('\0')) {
    throw Error(Misuse::invalid_argument, "a name must have 1 to " + std::to_string(max_name - 1) + " characters");
  }
}

std::span<const std::byte> with_zero(const std::string& text) {
  return std::as_bytes(std::span(text.c_str(), text.size() + 1));
}

/// A text xattr, up to its first zero byte: SPDK fills the name of a new volume up with zeros to 64 bytes. Empty when
/// there is none, or it does not end with a zero.
std::string text_xattr(const blob::Blob& blob, std::string_view name) {
  const auto value = blob.xattr(name);
  if (!value || value->empty() || value->back() != std::byte{0}) return {};
  return reinterpret_cast<const char*>(value->data());
}

/// What a new volume's blob is told apart by. `name` must stay.
struct NewLvol {
  explicit NewLvol(const std::string& name) : xattrs{{{"name", with_zero(name)}, {"uuid", with_zero(uuid_text)}}} {}
  NewLvol(const NewLvol&) = delete;

  const Uuid uuid = Uuid::random();
  const std::string uuid_text = uuid.to_string();
  const std::array<blob::XattrView, 2> xattrs;
};

Task<> abandon(std::shared_ptr<blob::Store> store) { co_await store->abandon(); }

Error no_lvol(BlobId id) { return Error(std::errc::no_such_device, "there is no volume " + to_string(id)); }

}  // namespace

// ---- life

Task<std::shared_ptr<LvolStore>> LvolStore::create(std::string bdev, Options options) {
  check_name(options.name);
  const auto device = bdev::Service::current().find(bdev);
  if (device == nullptr) {
    throw Error(std::errc::no_such_device, "there is no such bdev").with_operation("create").with_device(bdev);
  }
  const std::uint64_t bytes = device->num_blocks().value * device->geometry().block_size;
  const std::uint64_t clusters = options.cluster_size == 0 ? 0 : bytes / options.cluster_size;
  const std::uint64_t pages = clusters * options.metadata_pages_per_100_clusters / 100;
  const std::shared_ptr<LvolStore> self(new LvolStore);
  const blob::StoreOptions store_options{
      .cluster_size = options.cluster_size,
      .md_page_size = options.md_page_size,
      .metadata_pages = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(pages, 1, UINT32_MAX)),
      .type = store_type,
      .clear_method = options.clear_method};
  self->name_ = options.name;
  self->uuid_ = Uuid::random();
  self->blobs_ = co_await blob::Blobstore::init(bdev, store_options);
  const auto written = co_await as_result(self->write_names());
  if (!written) {
    co_await self->blobs_.unload();
    throw written.error();
  }
  self->watch_base();
  co_return self;
}

Task<std::shared_ptr<LvolStore>> LvolStore::load(std::string bdev) {
  const std::shared_ptr<LvolStore> self(new LvolStore);
  const blob::LoadOptions options{.type = store_type};
  self->blobs_ = co_await blob::Blobstore::load(bdev, options);
  const auto read = co_await as_result(self->read_names());
  if (!read) {
    co_await self->blobs_.unload();
    throw read.error();
  }
  self->watch_base();
  co_return self;
}

Task<> LvolStore::write_names() {
  const std::string uuid = uuid_.to_string();
  const blob::XattrView xattrs[] = {{"uuid", with_zero(uuid)}, {"name", with_zero(name_)}};
  const blob::BlobOptions super{.xattrs = xattrs};
  super_ = co_await blobs_.create(super);
  co_await blobs_.set_super_blob(super_);
}

Task<> LvolStore::read_names() {
  super_ = blobs_.super_blob();
  blob::Blob super = co_await blobs_.open(super_);
  name_ = text_xattr(super, "name");
  const std::string uuid = text_xattr(super, "uuid");
  co_await super.close();
  if (name_.empty() || uuid.empty()) {
    throw Error(std::errc::illegal_byte_sequence, "the super blob of the store has no name or no UUID");
  }
  uuid_ = Uuid::parse(uuid);
  for (const BlobId id : blobs_.blobs()) {
    if (id == super_) continue;
    blob::Blob blob = co_await blobs_.open(id);
    Lvol lvol{.id = id, .name = text_xattr(blob, "name"), .uuid = {}};
    const std::string text = text_xattr(blob, "uuid");
    co_await blob.close();
    try {
      lvol.uuid = Uuid::parse(text);
    } catch (const Error&) {
      lvol.name.clear();
    }
    if (lvol.name.empty()) {
      log::warn("lvol store {}: blob {} has no name or no UUID: it is no volume", name_, to_string(id));
      continue;
    }
    lvols_.emplace(id, std::move(lvol));
  }
}

void LvolStore::watch_base() {
  auto device = bdev::Service::current().find(blobs_.bdev_name());
  if (device == nullptr) return;  // gone already; what is done next finds out
  watcher_ = std::make_shared<bdev::DescState>(std::move(device), Access::read_only,
                                               std::weak_ptr<bdev::BaseObserver>(shared_from_this()));
}

Task<> LvolStore::register_all() {
  for (auto& [id, lvol] : lvols_) {
    const auto done = co_await as_result(register_lvol(lvol));
    if (!done) log::error("lvol store {}: {}: {}", name_, lvol.name, done.error().what());
  }
}

Task<> LvolStore::register_lvol(Lvol& lvol) {
  blob::Blob blob = co_await blobs_.open(lvol.id);
  if (blob.degraded()) {
    co_await blob.close();
    log::warn("lvol store {}: {} waits for its external snapshot", name_, lvol.name);
    co_return;
  }
  lvol.registered = true;
  auto device = std::make_unique<LvolDevice>(shared_from_this(), std::move(blob), lvol.name, lvol.uuid);
  std::exception_ptr failure;
  try {
    co_await bdev::Service::current().register_device(std::move(device));
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    lvol.registered = false;
    std::rethrow_exception(failure);
  }
}

void LvolStore::device_is_gone(BlobId id) noexcept {
  if (const auto found = lvols_.find(id); found != lvols_.end()) found->second.registered = false;
}

Task<> LvolStore::unregister_lvol(Lvol& lvol) {
  if (!lvol.registered) co_return;
  const std::string device = lvol.uuid.to_string();
  const auto done = co_await as_result(bdev::Service::current().unregister_device(device));
  if (!done && done.error().code() != std::errc::no_such_device) throw done.error();
}

Task<> LvolStore::unregister_all() {
  for (auto& [id, lvol] : lvols_) {
    const auto done = co_await as_result(unregister_lvol(lvol));
    if (!done) log::error("lvol store {}: {}: {}", name_, lvol.name, done.error().what());
  }
}

Task<> LvolStore::close() {
  const auto guard = co_await changing_.lock();
  if (std::exchange(closed_, true)) co_return;
  co_await unregister_all();
  if (watcher_ != nullptr) watcher_->close();
  co_await blobs_.unload();
}

Task<> LvolStore::destroy() {
  const auto guard = co_await changing_.lock();
  if (copies_ != 0) throw Error(std::errc::device_or_resource_busy, "a shallow copy runs").with_device(name_);
  if (std::exchange(closed_, true)) co_return;
  co_await unregister_all();
  if (watcher_ != nullptr) watcher_->close();
  co_await blobs_.destroy();
}

Task<> LvolStore::base_removed() {
  if (std::exchange(closed_, true)) co_return;
  log::warn("lvol store {}: its device {} was removed", name_, blobs_.bdev_name());
  const std::shared_ptr<LvolStore> self = shared_from_this();
  co_await unregister_all();
  watcher_->close();
  auto abandoning = blobs_.store()->run(abandon(blobs_.store()), "lvol store abandon");
  const auto abandoned = co_await as_result(std::move(abandoning));
  if (!abandoned) log::warn("lvol store {}: {}", name_, abandoned.error().what());
}

// ---- what there is

std::string LvolStore::name_of(BlobId id) const {
  const auto found = lvols_.find(id);
  return found == lvols_.end() ? std::string{} : found->second.name;
}

std::uint64_t LvolStore::max_growable_bytes() const {
  return blobs_.store()->max_clusters() * std::uint64_t{blobs_.cluster_size()};
}

Lvol& LvolStore::get(BlobId id) {
  const auto found = lvols_.find(id);
  if (found == lvols_.end()) throw no_lvol(id);
  return found->second;
}

void LvolStore::require_free(const std::string& name) const {
  check_name(name);
  for (const auto& [id, lvol] : lvols_) {
    if (lvol.name == name) throw Error(std::errc::file_exists, "the name is taken").with_device(name_ + "/" + name);
  }
}

bool LvolStore::is_open(const Lvol& lvol) {
  const auto device = lvol.registered ? bdev::Service::current().find(lvol.uuid.to_string()) : nullptr;
  return device != nullptr && device->descriptor_count() != 0;
}

void LvolStore::require_not_open(const Lvol& lvol) const {
  if (!is_open(lvol)) return;
  throw Error(std::errc::device_or_resource_busy, "the volume is open")
      .with_device(name_ + "/" + lvol.name)
      .with_hint("its name is fixed while somebody has it open");
}

std::uint64_t LvolStore::clusters_of(const bdev::DeviceState& device) const {
  const std::uint64_t bytes = device.num_blocks().value * device.geometry().block_size;
  const std::uint64_t cluster = blobs_.cluster_size();
  if (bytes != 0 && bytes % cluster == 0) return bytes / cluster;
  throw Error(Misuse::invalid_argument, "its size is not a whole number of clusters of " + std::to_string(cluster))
      .with_operation("clone")
      .with_device(device.name());
}

template <class F>
Task<> LvolStore::with_blob(BlobId id, F use) {
  blob::Blob blob = co_await blobs_.open(id);
  std::exception_ptr failure;
  try {
    co_await use(blob);
  } catch (...) {
    failure = std::current_exception();
  }
  co_await blob.close();
  if (failure) std::rethrow_exception(failure);
}

// ---- changes

Task<Uuid> LvolStore::adopt(BlobId id, std::string name, Uuid uuid) {
  Lvol& lvol = lvols_.emplace(id, Lvol{.id = id, .name = std::move(name), .uuid = uuid}).first->second;
  co_await register_lvol(lvol);
  co_return uuid;
}

Task<Uuid> LvolStore::create_lvol(std::string name, std::uint64_t bytes, bool thin, blob::ClearMethod clear) {
  const auto guard = co_await changing_.lock();
  require_free(name);
  const NewLvol lvol(name);
  const std::uint64_t cluster = blobs_.cluster_size();
  const blob::BlobOptions options{.num_clusters = bytes / cluster + (bytes % cluster != 0 ? 1 : 0),
                                  .thin = thin,
                                  .clear_method = clear,
                                  .xattrs = lvol.xattrs};
  const BlobId id = co_await blobs_.create(options);
  co_return co_await adopt(id, name, lvol.uuid);
}

Task<Uuid> LvolStore::snapshot(BlobId of, std::string name) {
  const auto guard = co_await changing_.lock();
  get(of);
  require_free(name);
  const NewLvol lvol(name);
  const BlobId id = co_await blobs_.snapshot(of, lvol.xattrs);
  co_return co_await adopt(id, name, lvol.uuid);
}

Task<Uuid> LvolStore::clone(BlobId of, std::string name) {
  const auto guard = co_await changing_.lock();
  get(of);
  require_free(name);
  const NewLvol lvol(name);
  const BlobId id = co_await blobs_.clone(of, lvol.xattrs);
  co_return co_await adopt(id, name, lvol.uuid);
}

Task<Uuid> LvolStore::clone_bdev(std::shared_ptr<bdev::DeviceState> device, std::string name) {
  const auto guard = co_await changing_.lock();
  require_free(name);
  const std::uint64_t clusters = clusters_of(*device);
  const NewLvol lvol(name);
  const std::string source = device->uuid().to_string();
  const blob::BlobOptions options{.num_clusters = clusters,
                                  .thin = true,
                                  .xattrs = lvol.xattrs,
                                  .external_snapshot = std::string_view(source.c_str(), source.size() + 1)};
  const BlobId id = co_await blobs_.create(options);
  co_return co_await adopt(id, name, lvol.uuid);
}

Task<> LvolStore::set_parent(BlobId id, BlobId snapshot) {
  const auto guard = co_await changing_.lock();
  get(id);
  get(snapshot);
  const auto use = [snapshot](blob::Blob& blob) { return blob.set_parent(snapshot); };
  co_await with_blob(id, use);
}

Task<> LvolStore::set_parent_bdev(BlobId id, std::shared_ptr<bdev::DeviceState> device) {
  const auto guard = co_await changing_.lock();
  clusters_of(*device);
  get(id);
  for (const auto& [other, lvol] : lvols_) {
    if (device->uuid() != lvol.uuid) continue;
    throw Error(Misuse::invalid_argument, "it is a volume of the same store, which might start from this one")
        .with_device(device->name())
        .with_hint("bdev_lvol_set_parent takes a snapshot of the store");
  }
  const std::string uuid = device->uuid().to_string();
  const auto use = [&uuid](blob::Blob& blob) {
    return blob.set_external_parent(std::string_view(uuid.c_str(), uuid.size() + 1));
  };
  co_await with_blob(id, use);
}

Task<> LvolStore::shallow_copy(BlobId id, std::string bdev, blob::CopyProgress& progress) {
  get(id);
  BdevDesc device = co_await BdevDesc::open(bdev, Access::read_write);
  std::exception_ptr failure;
  ++copies_;
  try {
    device.claim(bdev::Claim::exclusive_write, "lvol shallow copy");
    const auto use = [&](blob::Blob& blob) { return blob.shallow_copy(device, progress); };
    co_await with_blob(id, use);
  } catch (...) {
    failure = std::current_exception();
  }
  co_await device.close();
  --copies_;
  if (failure) std::rethrow_exception(failure);
}

Task<> LvolStore::set_name(BlobId id, std::string name) {
  const auto use = [&name](blob::Blob& blob) {
    blob.set_xattr("name", with_zero(name));
    return blob.sync();
  };
  co_await with_blob(id, use);
}

Task<> LvolStore::rename(std::string name) {
  const auto guard = co_await changing_.lock();
  check_name(name);
  for (const auto& [id, lvol] : lvols_) require_not_open(lvol);
  co_await unregister_all();
  const auto renamed = co_await as_result(set_name(super_, name));
  if (renamed) name_ = name;
  co_await register_all();
  if (!renamed) throw renamed.error();
}

Task<> LvolStore::rename_lvol(BlobId id, std::string name) {
  const auto guard = co_await changing_.lock();
  Lvol& lvol = get(id);
  if (lvol.name == name) co_return;
  require_free(name);
  require_not_open(lvol);
  co_await unregister_lvol(lvol);
  const auto renamed = co_await as_result(set_name(id, name));
  if (renamed) lvol.name = name;
  co_await register_lvol(lvol);
  if (!renamed) throw renamed.error();
}

Task<> LvolStore::resize(BlobId id, std::uint64_t bytes) {
  const auto guard = co_await changing_.lock();
  const Lvol& lvol = get(id);
  const std::uint64_t cluster = blobs_.cluster_size();
  const std::uint64_t clusters = bytes / cluster + (bytes % cluster != 0 ? 1 : 0);
  const BlockCount blocks{clusters * cluster / blobs_.block_size()};
  const bool shrinks = clusters < blobs_.info(id).num_clusters;
  // Refused for an open device, before anything is cut off.
  if (shrinks && lvol.registered) bdev::Service::current().notify_resize(lvol.uuid.to_string(), blocks);
  const auto use = [clusters](blob::Blob& blob) { return blob.resize(clusters); };
  co_await with_blob(id, use);
  if (!shrinks && lvol.registered) bdev::Service::current().notify_resize(lvol.uuid.to_string(), blocks);
}

Task<> LvolStore::set_read_only(BlobId id) {
  const auto guard = co_await changing_.lock();
  Lvol& lvol = get(id);
  const auto use = [](blob::Blob& blob) { return blob.set_read_only(); };
  if (is_open(lvol)) {
    co_await with_blob(id, use);
    co_return;
  }
  // So that it can't be opened for writing any more.
  co_await unregister_lvol(lvol);
  const auto done = co_await as_result(with_blob(id, use));
  co_await register_lvol(lvol);
  if (!done) throw done.error();
}

Task<> LvolStore::inflate(BlobId id, bool decouple) {
  const auto guard = co_await changing_.lock();
  get(id);
  const auto use = [decouple](blob::Blob& blob) { return decouple ? blob.decouple_parent() : blob.inflate(); };
  co_await with_blob(id, use);
}

Task<> LvolStore::remove(BlobId id) {
  const auto guard = co_await changing_.lock();
  Lvol& lvol = get(id);
  if (blobs_.info(id).clones.size() > 1) {
    throw Error(std::errc::device_or_resource_busy, "the snapshot has more than one clone")
        .with_device(name_ + "/" + lvol.name);
  }
  co_await unregister_lvol(lvol);
  const auto removed = co_await as_result(blobs_.remove(id));
  if (!removed) {
    co_await register_lvol(lvol);
    throw removed.error();
  }
  lvols_.erase(id);
}

Task<> LvolStore::grow() {
  const auto guard = co_await changing_.lock();
  co_await blobs_.grow();
}

Task<> LvolStore::look_for_external(const bdev::DeviceState& device) {
  std::vector<BlobId> waiting;
  bool wanted = false;
  for (const auto& [id, lvol] : lvols_) {
    const std::string name = blobs_.info(id).external_snapshot;
    wanted = wanted || (!name.empty() && (name == device.name() || name == device.uuid().to_string()));
    if (!lvol.registered) waiting.push_back(id);
  }
  if (!wanted) co_return;
  // Also the clones of what starts from it.
  for (const BlobId id : waiting) {
    const auto found = lvols_.find(id);
    if (closed_ || found == lvols_.end() || found->second.registered) continue;
    const auto done = co_await as_result(register_lvol(found->second));
    if (!done) log::error("lvol store {}: {}: {}", name_, name_of(id), done.error().what());
  }
}

}  // namespace spdkio::lvol
