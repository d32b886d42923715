#include "spdkio/blob/blob_copy.hpp"

#include "spdkio/blob/blob_length.hpp"
#include "spdkio/blob/in_store.hpp"
#include "spdkio/cli/failure.hpp"
#include "spdkio/terminal/progress_line.hpp"

#include <spdkio/bdev/bdev_desc.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/for_each_concurrent.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <ranges>
#include <utility>

namespace spdkio::tool {
namespace {

using blob::Blob;
using blob::BlobChannel;
using blob::BlobId;
using blob::Blobstore;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t piece_bytes = std::uint64_t{1} << 20;
constexpr std::size_t pieces_at_once = 8;

std::uint64_t round_up(std::uint64_t bytes, std::uint64_t unit) { return (bytes + unit - 1) / unit * unit; }

struct CopyState {
  Blob blob;
  BlobChannel blob_channel;
  std::optional<BdevDesc> device;  ///< none: there is nothing but a tail
  IoChannel device_channel;
  std::vector<std::byte> tail;
  std::uint64_t device_bytes = 0;
  std::uint64_t length = 0;  ///< what counts of the source
  std::uint64_t bytes = 0;   ///< to be written: the length in whole blocks, or the whole blob
  bool into_store = false;
  bool fresh = false;  ///< the blob is new: zeros need not be written
  std::uint64_t done = 0;
  std::uint64_t holes = 0;
};

/// As much of a piece at `at` as a source of `there` bytes has.
std::size_t part_of(const DmaBuf& piece, std::uint64_t at, std::uint64_t there) {
  return static_cast<std::size_t>(at >= there ? 0 : std::min<std::uint64_t>(piece.size(), there - at));
}

Task<> copy_into_store(CopyState& state, const DmaBuf& piece, ByteOffset at) {
  const std::size_t whole = part_of(piece, at.value, state.device_bytes);
  if (whole != 0) co_await state.device->read(state.device_channel, piece.subspan(0, whole), at);
  const std::size_t data = part_of(piece, at.value, state.length);
  if (data != whole) {
    const std::uint64_t from = at.value + whole - state.device_bytes;
    std::memcpy(piece.data() + whole, state.tail.data() + from, data - whole);
  }
  const bool empty = std::ranges::all_of(piece.bytes(), [](std::byte byte) { return byte == std::byte{0}; });
  if (empty && state.fresh) {
    state.holes += data;
  } else {
    co_await state.blob.write(state.blob_channel, piece, at);
  }
}

Task<> copy_out_of_store(CopyState& state, const DmaBuf& piece, ByteOffset at) {
  const std::size_t there = part_of(piece, at.value, state.blob.size().value);
  co_await state.blob.read(state.blob_channel, piece.subspan(0, there), at);
  // What a blob has behind its length is nobody's business.
  const std::size_t data = part_of(piece, at.value, state.length);
  std::memset(piece.data() + data, 0, piece.size() - data);
  co_await state.device->write(state.device_channel, piece, at);
}

Task<> copy_pieces(App& app, CopyState& state, const Terminal& terminal) {
  ProgressLine line{terminal, {.title = "copy"}, Clock::now()};
  const auto one = [&](std::uint64_t number) -> Task<> {
    if (app.stopping()) throw Failure{"interrupted; the copy is incomplete"};
    const ByteOffset at{number * piece_bytes};
    const DmaBuf piece{static_cast<std::size_t>(std::min(piece_bytes, state.bytes - at.value))};
    if (state.into_store) {
      co_await copy_into_store(state, piece, at);
    } else {
      co_await copy_out_of_store(state, piece, at);
    }
    state.done += piece.size();
    line.update({.now = Clock::now(),
                 .fraction = static_cast<double>(state.done) / static_cast<double>(state.bytes),
                 .bytes = state.done});
  };
  const std::uint64_t pieces = (state.bytes + piece_bytes - 1) / piece_bytes;
  co_await for_each_concurrent(pieces_at_once, std::views::iota(std::uint64_t{0}, pieces), one);
  line.finish();
}

Task<> copy_data(App& app, CopyState& state, const Terminal& terminal) {
  if (state.bytes == 0) co_return;
  co_await copy_pieces(app, state, terminal);
  if (state.into_store) {
    co_await state.blob.flush(state.blob_channel);
  } else if (state.device->supports(bdev::IoType::flush)) {
    co_await state.device->flush(state.device_channel);
  }
}

/// How much goes where. Throws when it does not fit.
void measure(CopyState& state) {
  const std::uint64_t blob_size = state.blob.size().value;
  std::uint64_t room = blob_size;
  if (state.into_store) {
    state.length = state.device_bytes + state.tail.size();
    // An old blob keeps nothing of what it had.
    state.bytes = blob_size;
  } else {
    state.length = length_of(state.blob).value_or(blob_size);
    state.bytes = round_up(state.length, state.device ? state.device->block_size() : 1);
    room = state.device_bytes;
  }
  if (room < state.length || room < state.bytes) {
    throw Failure{fmt::format("the destination is too small: {} bytes for {}", room, state.length)};
  }
}

Task<BlobCopyOutcome> copy_in_store(App& app, Blobstore& store, BlobCopy copy, const Terminal& terminal) {
  CopyState state;
  state.into_store = copy.into_store;
  state.fresh = !copy.id;
  state.tail = std::move(copy.tail);
  if (!copy.device.empty()) {
    state.device = co_await BdevDesc::open(copy.device, copy.into_store ? Access::read_only : Access::read_write);
    state.device_bytes = state.device->size().value;
  }
  std::exception_ptr failure;
  BlobId id;
  try {
    if (copy.id) {
      id = *copy.id;
    } else {
      const std::uint64_t cluster = store.cluster_size();
      const std::uint64_t bytes = state.device_bytes + state.tail.size();
      const blob::BlobOptions options{.num_clusters = (bytes + cluster - 1) / cluster, .thin = true};
      id = co_await store.create(options);
    }
    state.blob = co_await store.open(id);
    measure(state);
    state.blob_channel = store.io_channel();
    if (state.device) state.device_channel = state.device->io_channel();
    co_await copy_data(app, state, terminal);
    if (state.into_store) {
      set_length(state.blob, state.length);
      co_await state.blob.sync();
    }
  } catch (...) {
    failure = std::current_exception();
  }
  state.blob_channel.close();
  state.device_channel.close();
  if (state.blob) co_await state.blob.close();
  if (state.device) co_await state.device->close();
  // Half a blob that nobody asked for by name is of no use.
  if (failure && state.fresh && id.valid()) co_await store.remove(id);
  if (failure) std::rethrow_exception(failure);
  co_return BlobCopyOutcome{id, state.length, state.holes};
}

Task<std::uint64_t> bytes_in_store(Blobstore& store, BlobId id) {
  Blob blob = co_await store.open(id);
  const std::uint64_t bytes = length_of(blob).value_or(blob.size().value);
  co_await blob.close();
  co_return bytes;
}

}  // namespace

Task<std::uint64_t> blob_bytes(std::string bdev, BlobId id) {
  const auto work = [id](Blobstore& store) { return bytes_in_store(store, id); };
  co_return co_await in_store<std::uint64_t>(std::move(bdev), work);
}

Task<BlobCopyOutcome> copy_blob(App& app, std::string bdev, BlobCopy copy, const Terminal& terminal) {
  const auto work = [&](Blobstore& store) { return copy_in_store(app, store, copy, terminal); };
  co_return co_await in_store<BlobCopyOutcome>(std::move(bdev), work);
}

}  // namespace spdkio::tool
