// What can be done to the volumes of a store.
#include <spdkio/base/log.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <array>
#include <exception>
#include <optional>
#include <utility>

#include "bdev/device_lookup.hpp"
#include "lvol/lvol_store.hpp"
#include "lvol/names.hpp"

namespace spdkio::lvol {

using blob::BlobId;

namespace {

/// What a new volume's blob is told apart by. `name` must stay.
struct NewLvol {
  explicit NewLvol(const std::string& name) : xattrs{{{"name", with_zero(name)}, {"uuid", with_zero(uuid_text)}}} {}
  NewLvol(const NewLvol&) = delete;

  const Uuid uuid = Uuid::random();
  const std::string uuid_text = uuid.to_string();
  const std::array<blob::XattrView, 2> xattrs;
};

Error no_lvol(BlobId id) { return Error(std::errc::no_such_device, "there is no volume " + to_string(id)); }

}  // namespace

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

void LvolStore::show_as(const Lvol& lvol, const std::string& store, const std::string& name) {
  const std::string device = lvol.uuid.to_string();
  bdev::Service& service = bdev::Service::current();
  if (lvol.registered && service.find(device) != nullptr) service.set_aliases(device, {store + "/" + name});
}

void LvolStore::show_as_before() const noexcept {
  for (const auto& [id, lvol] : lvols_) {
    try {
      show_as(lvol, name_, lvol.name);
    } catch (const Error& error) {
      log::error("lvol store {}: {}: {}", name_, lvol.name, error.what());
    }
  }
}

void LvolStore::require_no_circle(const bdev::DeviceState& device) const {
  for (const auto& below : bdev::device_and_bases(device)) {
    for (const auto& [id, lvol] : lvols_) {
      if (below->uuid() != lvol.uuid) continue;
      throw Error(Misuse::invalid_argument,
                  "its data comes from " + name_ + "/" + lvol.name + ", a volume of the same store")
          .with_device(device.name())
          .with_hint("bdev_lvol_set_parent takes a snapshot of the store");
    }
  }
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
  require_no_circle(*device);
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
  std::optional<Error> failure;
  try {
    for (const auto& [id, lvol] : lvols_) show_as(lvol, name, lvol.name);
  } catch (const Error& error) {
    failure = error;
  }
  if (!failure) {
    const auto renamed = co_await as_result(set_name(super_, name));
    if (!renamed) failure = renamed.error();
  }
  if (failure) {
    show_as_before();
    throw *failure;
  }
  name_ = name;
}

Task<> LvolStore::rename_lvol(BlobId id, std::string name) {
  const auto guard = co_await changing_.lock();
  Lvol& lvol = get(id);
  if (lvol.name == name) co_return;
  require_free(name);
  show_as(lvol, name_, name);
  const auto renamed = co_await as_result(set_name(id, name));
  if (!renamed) {
    show_as_before();
    throw renamed.error();
  }
  lvol.name = name;
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

}  // namespace spdkio::lvol
