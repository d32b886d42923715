#include "spdkio/blob/blob_store_actions.hpp"

#include "spdkio/blob/blob_length.hpp"
#include "spdkio/blob/in_store.hpp"
#include "spdkio/cli/failure.hpp"

#include <spdkio/runtime/as_result.hpp>

#include <fmt/format.h>

namespace spdkio::tool {
namespace {

using blob::Blob;
using blob::BlobId;
using blob::Blobstore;

std::string text_of(std::span<const std::byte> value) {
  std::string text;
  for (const std::byte byte : value) {
    const auto code = std::to_integer<unsigned>(byte);
    if (code >= 0x20 && code < 0x7F && code != '\\') {
      text += static_cast<char>(code);
    } else {
      text += fmt::format("\\x{:02x}", code);
    }
  }
  return text;
}

Json describe(const Blobstore& store, BlobId id) {
  const blob::BlobInfo info = store.info(id);
  Json out = Json::object();
  out["id"] = blob::to_string(id);
  out["bytes"] = info.num_clusters * store.cluster_size();
  out["allocated_bytes"] = info.allocated_clusters * store.cluster_size();
  out["thin"] = info.thin;
  out["read_only"] = info.read_only;
  if (info.parent.valid()) out["parent"] = blob::to_string(info.parent);
  if (!info.external_snapshot.empty()) out["external_snapshot"] = info.external_snapshot;
  Json clones = Json::array();
  for (const BlobId clone : info.clones) clones.push_back(blob::to_string(clone));
  if (!clones.empty()) out["clones"] = std::move(clones);
  return out;
}

Json describe(const Blobstore& store) {
  Json out = Json::object();
  out["type"] = store.type();
  out["cluster_size"] = store.cluster_size();
  out["block_size"] = store.block_size();
  out["total_bytes"] = store.total_clusters() * store.cluster_size();
  out["free_bytes"] = store.free_clusters() * store.cluster_size();
  out["free_metadata_pages"] = store.free_metadata_pages();
  out["recovered"] = store.recovered();
  if (store.super_blob().valid()) out["super_blob"] = blob::to_string(store.super_blob());
  return out;
}

Json damaged_blobs(const Blobstore& store) {
  Json out = Json::array();
  for (const blob::DamagedBlob& damaged : store.damaged()) {
    out.push_back({{"id", blob::to_string(damaged.id)}, {"reason", damaged.reason}});
  }
  return out;
}

Json xattrs_of(const Blob& blob) {
  Json xattrs = Json::object();
  for (const std::string& name : blob.xattr_names())
    xattrs[text_of(std::as_bytes(std::span(name)))] = text_of(*blob.xattr(name));
  return xattrs;
}

Json data_of(const Blob& blob) {
  Json ranges = Json::array();
  ByteOffset from{0};
  while (const auto data = from.value < blob.size().value ? blob.seek_data(from) : std::nullopt) {
    const auto hole = blob.seek_hole(*data);
    from = hole ? *hole : ByteOffset{blob.size().value};
    ranges.push_back({{"offset", data->value}, {"bytes", from.value - data->value}});
  }
  return ranges;
}

Task<Json> show_one(Blobstore& store, BlobId id, bool with_data) {
  Json out = describe(store, id);
  Blob blob = co_await store.open(id);
  if (const auto length = length_of(blob)) out["length"] = *length;
  out["xattrs"] = xattrs_of(blob);
  if (with_data) out["data"] = data_of(blob);
  co_await blob.close();
  co_return out;
}

}  // namespace

Task<Json> create_blob_store(std::string bdev, NewBlobStore options) {
  if (!options.overwrite) {
    auto there = co_await as_result(Blobstore::load(bdev));
    if (there) {
      co_await there->unload();
      throw Failure{"there is a store on it already", "--overwrite makes a new one in its place"};
    }
    if (there.error().code() != std::errc::illegal_byte_sequence) throw there.error();
  }
  const blob::StoreOptions wanted{
      .cluster_size = options.cluster_size, .metadata_pages = options.metadata_pages, .type = options.type};
  Blobstore store = co_await Blobstore::init(bdev, wanted);
  Json out = describe(store);
  co_await store.unload();
  co_return out;
}

Task<Json> show_blob_store(std::string bdev, std::optional<BlobId> id) {
  const auto work = [id](Blobstore& store) -> Task<Json> {
    if (id) co_return co_await show_one(store, *id, true);
    Json out = describe(store);
    Json blobs = Json::array();
    for (const BlobId each : store.blobs()) blobs.push_back(co_await show_one(store, each, false));
    out["blobs"] = std::move(blobs);
    out["damaged"] = damaged_blobs(store);
    co_return out;
  };
  co_return co_await in_store<Json>(std::move(bdev), work);
}

Task<Json> check_blob_store(std::string bdev, bool repair) {
  const auto look = [](Blobstore& store) -> Task<Json> {
    Json out = describe(store);
    out.erase("recovered");  // a check always goes through everything
    out["blobs"] = store.blobs().size();
    out["damaged"] = damaged_blobs(store);
    co_return out;
  };
  const auto remove_damaged = [](Blobstore& store) -> Task<bool> {
    // Clones before what they are clones of: a damaged snapshot takes its clones along.
    std::vector<blob::DamagedBlob> left = store.damaged();
    while (!left.empty()) {
      for (const blob::DamagedBlob& blob : left) {
        const auto removed = co_await as_result(store.remove(blob.id));
        if (!removed && removed.error().code() != std::errc::device_or_resource_busy) throw removed.error();
      }
      const std::size_t before = left.size();
      left = store.damaged();
      if (left.size() == before) throw Failure{"what is damaged can't be deleted"};
    }
    co_return true;
  };
  Json out = co_await in_store<Json>(bdev, look, true);
  if (repair && !out["damaged"].empty()) {
    Json removed = out["damaged"];
    co_await in_store<bool>(bdev, remove_damaged, true);
    out = co_await in_store<Json>(bdev, look, true);
    out["deleted"] = std::move(removed);
  }
  co_return out;
}

}  // namespace spdkio::tool
