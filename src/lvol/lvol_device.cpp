#include "lvol/lvol_device.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "lvol/lvol_store.hpp"

namespace spdkio::lvol {
namespace {

struct ThreadState final : bdev::DeviceThreadState {
  explicit ThreadState(blob::BlobChannel made) : channel(std::move(made)) {}
  blob::BlobChannel channel;
};

bdev::Geometry geometry_of(const LvolStore& store, const blob::Blob& blob) {
  const std::uint32_t block = store.blobs().block_size();
  return {.block_size = block,
          .num_blocks = blob.size().value / block,
          .optimal_io_boundary = store.blobs().cluster_size() / block,
          .volatile_write_cache = true,
          .read_only = blob.read_only()};
}

using bdev::IoType;
constexpr std::initializer_list<IoType> reading{IoType::read, IoType::flush, IoType::seek_data, IoType::seek_hole};
constexpr std::initializer_list<IoType> writing{IoType::read,  IoType::write,     IoType::write_zeroes, IoType::unmap,
                                                IoType::flush, IoType::seek_data, IoType::seek_hole};

}  // namespace

LvolDevice::LvolDevice(std::shared_ptr<LvolStore> store, blob::Blob blob, const std::string& name, const Uuid& uuid)
    : CoroutineDevice(uuid.to_string(), "Logical Volume", geometry_of(*store, blob),
                      blob.read_only() ? reading : writing),
      store_(std::move(store)),
      blob_(std::move(blob)) {
  set_uuid(uuid);
  add_alias(store_->name() + "/" + name);
}

Task<> LvolDevice::serve(bdev::IoRequest& io) {
  const blob::BlobChannel& channel = io.thread_state<ThreadState>().channel;
  const std::uint64_t block = geometry().block_size;
  const ByteOffset at{io.range().first.value * block};
  const ByteRange range{at, ByteCount{io.range().count.value * block}};
  const bool reads = std::ranges::find(reading, io.type()) != reading.end();
  if (!reads && blob_.read_only()) {
    throw Error(std::errc::read_only_file_system, "the volume was made read-only").with_device(name());
  }
  switch (io.type()) {
    case IoType::read: return blob_.read(channel, io.buffers(), at);
    case IoType::seek_data:
    case IoType::seek_hole: return seek(io, at);
    case IoType::write: return io.fua() ? write_through(io, at) : blob_.write(channel, io.buffers(), at);
    case IoType::write_zeroes: return blob_.write_zeroes(channel, range);
    case IoType::unmap: return blob_.unmap(channel, range);
    default: return blob_.flush(channel);
  }
}

Task<> LvolDevice::seek(bdev::IoRequest& io, ByteOffset at) {
  const auto found = io.type() == IoType::seek_data ? blob_.seek_data(at) : blob_.seek_hole(at);
  io.set_result(found ? found->value / geometry().block_size : UINT64_MAX);
  co_return;
}

Task<> LvolDevice::write_through(bdev::IoRequest& io, ByteOffset at) {
  const blob::BlobChannel& channel = io.thread_state<ThreadState>().channel;
  co_await blob_.write(channel, io.buffers(), at);
  co_await blob_.flush(channel);
}

std::unique_ptr<bdev::DeviceThreadState> LvolDevice::make_thread_state() {
  return std::make_unique<ThreadState>(store_->blobs().io_channel());
}

Task<> LvolDevice::shut_down() {
  const blob::BlobId id = blob_.id();
  auto closing = blob_.close();
  const auto closed = co_await as_result(std::move(closing));
  if (!closed) log::warn("lvol store {}: {}: {}", store_->name(), name(), closed.error().what());
  store_->device_is_gone(id);
}

std::vector<std::string> LvolDevice::bases() const {
  const blob::Blobstore& blobs = store_->blobs();
  std::vector<std::string> names{blobs.bdev_name()};
  for (blob::BlobInfo info = blobs.info(blob_.id());; info = blobs.info(info.parent)) {
    if (!info.external_snapshot.empty()) names.push_back(info.external_snapshot);
    if (info.parent == blob::BlobId{}) return names;
  }
}

nlohmann::ordered_json LvolDevice::driver_specific() const {
  nlohmann::ordered_json lvol;
  const blob::BlobInfo info = store_->blobs().info(blob_.id());
  lvol["lvol_store_uuid"] = store_->uuid().to_string();
  lvol["base_bdev"] = store_->blobs().bdev_name();
  lvol["thin_provision"] = blob_.thin();
  lvol["num_allocated_clusters"] = info.allocated_clusters;
  lvol["snapshot"] = blob_.is_snapshot();
  lvol["clone"] = blob_.is_clone();
  if (blob_.is_clone()) lvol["base_snapshot"] = store_->name_of(info.parent);
  if (blob_.is_snapshot()) {
    lvol["clones"] = nlohmann::ordered_json::array();
    for (const blob::BlobId clone : info.clones) lvol["clones"].push_back(store_->name_of(clone));
  }
  lvol["esnap_clone"] = !info.external_snapshot.empty();
  if (!info.external_snapshot.empty()) lvol["external_snapshot_name"] = info.external_snapshot;
  nlohmann::ordered_json out;
  out["lvol"] = std::move(lvol);
  return out;
}

}  // namespace spdkio::lvol
