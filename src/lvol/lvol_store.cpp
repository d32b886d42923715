#include "lvol/lvol_store.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <algorithm>
#include <exception>
#include <utility>

#include "blob/store.hpp"
#include "lvol/lvol_device.hpp"
#include "lvol/names.hpp"

namespace spdkio::lvol {

using blob::BlobId;

namespace {

Task<> abandon(std::shared_ptr<blob::Store> store) { co_await store->abandon(); }

}  // namespace

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

std::string LvolStore::name_of(BlobId id) const {
  const auto found = lvols_.find(id);
  return found == lvols_.end() ? std::string{} : found->second.name;
}

std::uint64_t LvolStore::max_growable_bytes() const {
  return blobs_.store()->max_clusters() * std::uint64_t{blobs_.cluster_size()};
}

}  // namespace spdkio::lvol
