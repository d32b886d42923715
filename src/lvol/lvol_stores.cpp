#include "lvol/lvol_stores.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <algorithm>
#include <cstring>
#include <ranges>

#include "blob/format/super_block.hpp"

namespace spdkio::lvol {
namespace {

Error no_store(const std::string& name) {
  return Error(std::errc::no_such_device, "there is no such lvol store").with_device(name);
}

/// Whether the first page is that of a store of volumes. Whatever else may be wrong with it, the load says.
Task<bool> has_store(std::string name) {
  BdevDesc device = co_await BdevDesc::open(name);
  bool found = false;
  const std::uint32_t block = device.block_size();
  const std::uint64_t bytes = (blob::format::page_bytes + block - 1) / block * std::uint64_t{block};
  if (device.size().value >= bytes && device.supports(bdev::IoType::read)) {
    IoChannel channel = device.io_channel();
    const DmaBuf page{bytes};
    const auto read = co_await as_result(device.read(channel, page, ByteOffset{0}));
    if (read) {
      blob::format::SuperBlock super;
      std::memcpy(static_cast<void*>(&super), page.data(), sizeof(super));
      const std::string_view type(super.type.data(), super.type.size());
      found = super.signature == blob::format::super_signature && type.substr(0, type.find('\0')) == store_type;
    }
  }
  co_await device.close();
  co_return found;
}

}  // namespace

void LvolStores::start() {
  home_ = CurrentThread::handle();
  copying_ = std::make_unique<Scope>("lvol shallow copies");
  // Not owned: `stop` takes it back.
  bdev::Service::current().add_examiner(std::shared_ptr<bdev::Examiner>(std::shared_ptr<void>(), this));
}

Task<> LvolStores::stop() {
  if (!home_) co_return;
  bdev::Service::current().remove_examiner(*this);
  home_.reset();
  copying_->request_stop();
  co_await copying_->join();
  copying_.reset();
  copies_.clear();
  for (const auto& store : std::exchange(stores_, {}) | std::views::reverse) {
    const auto closed = co_await as_result(store->close());
    if (!closed) log::error("lvol store {}: {}", store->name(), closed.error().what());
  }
}

Task<> LvolStores::examine(std::shared_ptr<bdev::DeviceState> device) {
  if (!home_) co_return;
  const auto look = [this, &device] { return examine_here(device); };
  auto call = home_->call(look);
  const auto done = co_await as_result(std::move(call));
  if (!done) log::error("{}: looking for an lvol store: {}", device->name(), done.error().what());
}

Task<> LvolStores::examine_here(std::shared_ptr<bdev::DeviceState> device) {
  const std::string name = device->name();
  for (const auto& store : all()) co_await store->look_for_external(*device);
  const bool writable = !device->geometry().read_only && device->claim_info().type == bdev::Claim::none;
  if (!writable || !examining_) co_return;
  const bool found = co_await has_store(name);
  co_await device->reset_stats();  // nobody else has used it yet: counters are those of its users
  if (!found) co_return;
  const auto loaded = co_await as_result(LvolStore::load(name));
  if (!loaded) {
    log::error("the lvol store on {} can't be loaded: {}", name, loaded.error().what());
    co_return;
  }
  const std::shared_ptr<LvolStore>& store = *loaded;
  const auto same = [&](const auto& other) { return other->name() == store->name() || other->uuid() == store->uuid(); };
  if (std::ranges::any_of(all(), same)) {
    log::error("the lvol store {} on {} is not loaded: there is one of that name or UUID", store->name(), name);
    co_await store->close();
    co_return;
  }
  stores_.push_back(store);
  co_await store->register_all();
}

std::vector<std::shared_ptr<LvolStore>> LvolStores::all() {
  std::erase_if(stores_, [](const auto& store) { return store->closed(); });
  return stores_;
}

void LvolStores::require_free(const std::string& name) {
  for (const auto& store : all()) {
    if (store->name() == name) throw Error(std::errc::file_exists, "the name is taken").with_device(name);
  }
}

Task<std::shared_ptr<LvolStore>> LvolStores::create(std::string bdev, LvolStore::Options options) {
  require_free(options.name);
  const auto store = co_await LvolStore::create(std::move(bdev), std::move(options));
  stores_.push_back(store);
  co_return store;
}

Task<> LvolStores::remove(std::shared_ptr<LvolStore> store) { co_await store->destroy(); }

Task<> LvolStores::rename(std::shared_ptr<LvolStore> store, std::string name) {
  if (store->name() == name) co_return;
  require_free(name);
  co_await store->rename(std::move(name));
}

Task<> LvolStores::run_shallow_copy(std::shared_ptr<LvolStore> store, blob::BlobId id, std::string bdev,
                                    ShallowCopy& copy) {
  auto copying = store->shallow_copy(id, std::move(bdev), copy.progress);
  const auto copied = co_await as_result(std::move(copying));
  if (!copied) copy.failure = copied.error();
  copy.ended = true;
}

std::uint32_t LvolStores::start_shallow_copy(const std::string& lvol, std::string bdev) {
  const auto [store, id] = find_lvol(lvol);
  if (bdev::Service::current().find(bdev) == nullptr) {
    throw Error(std::errc::no_such_device, "there is no such bdev").with_device(bdev);
  }
  if (!store->blobs().info(id).read_only) {
    throw Error(std::errc::operation_not_permitted, "the volume can be written")
        .with_device(lvol)
        .with_hint("take a snapshot of it and copy that");
  }
  const std::uint32_t number = ++last_copy_;
  copying_->spawn(run_shallow_copy(store, id, std::move(bdev), copies_[number]), "lvol shallow copy");
  return number;
}

LvolStores::ShallowCopy LvolStores::check_shallow_copy(std::uint32_t number) {
  const auto found = copies_.find(number);
  if (found == copies_.end()) {
    throw Error(std::errc::no_such_device, "there is no shallow copy with the number " + std::to_string(number));
  }
  ShallowCopy copy = found->second;
  if (copy.ended) copies_.erase(found);
  return copy;
}

std::shared_ptr<LvolStore> LvolStores::find_by_name(const std::string& name) {
  for (const auto& store : all()) {
    if (store->name() == name) return store;
  }
  throw no_store(name);
}

std::shared_ptr<LvolStore> LvolStores::find_by_uuid(const std::string& uuid) {
  for (const auto& store : all()) {
    if (store->uuid().to_string() == uuid) return store;
  }
  throw no_store(uuid);
}

std::pair<std::shared_ptr<LvolStore>, blob::BlobId> LvolStores::find_lvol(const std::string& name) {
  for (const auto& store : all()) {
    for (const auto& [id, lvol] : store->lvols()) {
      if (lvol.uuid.to_string() == name || store->name() + "/" + lvol.name == name) return {store, id};
    }
  }
  throw Error(std::errc::no_such_device, "there is no such volume").with_device(name);
}

}  // namespace spdkio::lvol
