#include "spdkio/blob/blob_store_actions.hpp"

#include "spdkio/cli/failure.hpp"
#include "spdkio/terminal/progress_line.hpp"

#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/for_each_concurrent.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <numeric>
#include <ranges>

namespace spdkio::tool {
namespace {

using blob::Blob;
using blob::BlobChannel;
using blob::BlobId;
using blob::Blobstore;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t piece_bytes = std::uint64_t{1} << 20;
constexpr std::size_t pieces_at_once = 8;

/// Loads, does `work`, and unloads whatever happens.
template <class T, class F>
Task<T> in_store(std::string bdev, F work, bool recover = false) {
  const blob::LoadOptions options{.recover = recover};
  Blobstore store = co_await Blobstore::load(bdev, options);
  std::optional<T> result;
  std::exception_ptr failure;
  try {
    result = co_await work(store);
  } catch (...) {
    failure = std::current_exception();
  }
  co_await store.unload();
  if (failure) std::rethrow_exception(failure);
  co_return std::move(*result);
}

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
  out["xattrs"] = xattrs_of(blob);
  if (with_data) out["data"] = data_of(blob);
  co_await blob.close();
  co_return out;
}

// ---- copying

struct CopyState {
  Blob blob;
  BlobChannel blob_channel;
  std::optional<BdevDesc> device;
  IoChannel device_channel;
  std::uint64_t bytes = 0;         ///< that both have
  std::uint64_t source_bytes = 0;  ///< of the device
  bool into_store = false;
  bool fresh = false;  ///< the blob is new: zeros need not be written
  std::uint64_t done = 0;
  std::uint64_t holes = 0;
};

Task<> copy_piece(CopyState& state, std::uint64_t piece) {
  const ByteOffset at{piece * piece_bytes};
  const DmaBuf buffer{static_cast<std::size_t>(std::min(piece_bytes, state.bytes - at.value))};
  if (state.into_store) {
    const std::size_t there = static_cast<std::size_t>(
        at.value >= state.source_bytes ? 0 : std::min<std::uint64_t>(buffer.size(), state.source_bytes - at.value));
    if (there != 0) co_await state.device->read(state.device_channel, buffer.subspan(0, there), at);
    const bool empty = std::ranges::all_of(buffer.bytes(), [](std::byte byte) { return byte == std::byte{0}; });
    if (empty && state.fresh) {
      state.holes += buffer.size();
    } else {
      co_await state.blob.write(state.blob_channel, buffer, at);
    }
  } else {
    co_await state.blob.read(state.blob_channel, buffer, at);
    co_await state.device->write(state.device_channel, buffer, at);
  }
  state.done += buffer.size();
}

Task<> copy_pieces(App& app, CopyState& state, const Terminal& terminal) {
  ProgressLine line{terminal, {.title = "copy"}, Clock::now()};
  const auto one = [&](std::uint64_t piece) -> Task<> {
    if (app.stopping()) throw Failure{"interrupted; the copy is incomplete"};
    co_await copy_piece(state, piece);
    line.update({.now = Clock::now(),
                 .fraction = static_cast<double>(state.done) / static_cast<double>(state.bytes),
                 .bytes = state.done});
  };
  const std::uint64_t pieces = (state.bytes + piece_bytes - 1) / piece_bytes;
  co_await for_each_concurrent(pieces_at_once, std::views::iota(std::uint64_t{0}, pieces), one);
  line.finish();
}

Task<> copy_all(App& app, CopyState& state, const Terminal& terminal) {
  co_await copy_pieces(app, state, terminal);
  if (state.into_store) {
    co_await state.blob.flush(state.blob_channel);
  } else if (state.device->supports(bdev::IoType::flush)) {
    co_await state.device->flush(state.device_channel);
  }
}

Task<BlobCopyOutcome> copy_in_store(App& app, Blobstore& store, BlobCopy copy, const Terminal& terminal) {
  CopyState state;
  state.into_store = copy.into_store;
  state.fresh = !copy.id;
  state.device = co_await BdevDesc::open(copy.device, copy.into_store ? Access::read_only : Access::read_write);
  std::exception_ptr failure;
  BlobId id;
  try {
    state.source_bytes = state.device->size().value;
    if (copy.id) {
      id = *copy.id;
    } else {
      const std::uint64_t cluster = store.cluster_size();
      const blob::BlobOptions options{.num_clusters = (state.source_bytes + cluster - 1) / cluster, .thin = true};
      id = co_await store.create(options);
    }
    state.blob = co_await store.open(id);
    state.bytes = state.blob.size().value;
    const std::uint64_t other = state.source_bytes;
    if (copy.into_store ? state.bytes < other : other < state.bytes) {
      throw Failure{fmt::format("the destination is too small: {} bytes for {}", std::min(state.bytes, other),
                                std::max(state.bytes, other))};
    }
    if (state.bytes != 0) {
      state.blob_channel = store.io_channel();
      state.device_channel = state.device->io_channel();
      co_await copy_all(app, state, terminal);
    }
  } catch (...) {
    failure = std::current_exception();
  }
  state.blob_channel.close();
  state.device_channel.close();
  if (state.blob) co_await state.blob.close();
  co_await state.device->close();
  // Half a blob that nobody asked for by name is of no use.
  if (failure && state.fresh && id.valid()) co_await store.remove(id);
  if (failure) std::rethrow_exception(failure);
  co_return BlobCopyOutcome{id, state.bytes, state.holes};
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

Task<std::uint64_t> blob_bytes(std::string bdev, BlobId id) {
  const auto work = [id](Blobstore& store) -> Task<std::uint64_t> {
    co_return store.info(id).num_clusters* store.cluster_size();
  };
  co_return co_await in_store<std::uint64_t>(std::move(bdev), work);
}

Task<BlobCopyOutcome> copy_blob(App& app, std::string bdev, BlobCopy copy, const Terminal& terminal) {
  const auto work = [&](Blobstore& store) { return copy_in_store(app, store, copy, terminal); };
  co_return co_await in_store<BlobCopyOutcome>(std::move(bdev), work);
}

}  // namespace spdkio::tool
