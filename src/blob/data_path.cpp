#include "blob/data_path.hpp"

#include <algorithm>
#include <cstring>

#include "blob/span_cursor.hpp"

namespace spdkio::blob {
namespace {

/// The longest transfer that the device is asked for at once, bytes.
constexpr std::uint64_t transfer_bytes = 1 << 20;
/// Clusters that one write allocates together: their metadata is written once.
constexpr std::uint32_t clusters_at_once = 64;

ChannelState& open_channel(const BlobChannel& channel) {
  if (!channel) throw Error(Misuse::already_closed, "the channel is not open");
  return *channel.state();
}

}  // namespace

DataPath::DataPath(Store& store, BlobNode& node, const BlobChannel& channel, std::uint64_t offset, std::uint64_t bytes,
                   bool writes)
    : store_(store), node_(node), channel_(open_channel(channel)), offset_(offset), end_(offset + bytes) {
  const auto refuse = [&](Misuse code, const char* what) {
    return Error(code, what).with_device("blob " + to_string(node.id()));
  };
  if (channel_.store.get() != &store) throw refuse(Misuse::invalid_argument, "the channel is of another store");
  if (!channel_.home.is_current()) throw refuse(Misuse::wrong_thread, "the channel is of another Thread");
  const std::uint32_t block = store.block_size();
  if (offset % block != 0 || bytes % block != 0) throw refuse(Misuse::misaligned, "not a whole number of blocks");
  const std::uint64_t size = node.map->size() * store.layout().cluster_size;
  if (bytes == 0 || bytes > size || offset > size - bytes) throw refuse(Misuse::out_of_range, "beyond the blob's end");
  if (writes && node.data_ro.load(std::memory_order_relaxed)) throw refuse(Misuse::read_only, "the blob is read-only");
}

template <class Find>
DataPath::Run DataPath::run_at(std::uint64_t at, Find&& find) const noexcept {
  const std::uint64_t size = store_.layout().cluster_size;
  const std::uint64_t first = at / size;
  const std::uint64_t last = (end_ - 1) / size;
  Run run{find(first), 1, at % size, 0};
  while (first + run.count <= last && run.count < UINT32_MAX / 2 &&
         find(first + run.count) == (run.cluster == 0 ? 0 : run.cluster + run.count)) {
    ++run.count;
  }
  run.bytes = std::min(end_ - at, run.count * size - run.offset);
  return run;
}

DataPath::Run DataPath::own_run(std::uint64_t at) const noexcept {
  const ClusterMap& map = *node_.map;
  return run_at(at, [&map](std::uint64_t index) { return map.find(index); });
}

DataPath::Run DataPath::visible_run(std::uint64_t at) const noexcept {
  const BlobNode& node = node_;
  return run_at(at, [&node](std::uint64_t index) { return Store::resolve(node, index); });
}

Task<> DataPath::wait_for_thaw() const {
  while (node_.frozen.load(std::memory_order_acquire)) co_await channel_.thawed.wait();
}

Task<> DataPath::read(DmaSpans into) const {
  if (node_.frozen.load(std::memory_order_acquire)) co_await wait_for_thaw();
  const InFlight in_flight(channel_);
  SpanCursor cursor(into);
  for (std::uint64_t at = offset_; at < end_;) {
    const Run run = visible_run(at);
    if (run.cluster == 0) {
      cursor.visit(run.bytes, [](const DmaSpan& span) { std::memset(span.data(), 0, span.size()); });
      at += run.bytes;
      continue;
    }
    for (std::uint64_t done = 0; done < run.bytes;) {
      const auto piece = cursor.take(std::min(transfer_bytes, run.bytes - done), store_.block_size());
      co_await store_.device().read(channel_.io, piece.spans, ByteOffset{device_offset(run) + done});
      done += piece.bytes;
    }
    at += run.bytes;
  }
}

Task<> DataPath::write(DmaSpans data) const {
  if (node_.frozen.load(std::memory_order_acquire)) co_await wait_for_thaw();
  const InFlight in_flight(channel_);
  SpanCursor cursor(data);
  for (std::uint64_t at = offset_; at < end_;) {
    const Run run = own_run(at);
    if (run.cluster != 0) {
      for (std::uint64_t done = 0; done < run.bytes;) {
        const auto piece = cursor.take(std::min(transfer_bytes, run.bytes - done), store_.block_size());
        co_await store_.device().write(channel_.io, piece.spans, ByteOffset{device_offset(run) + done});
        done += piece.bytes;
      }
      at += run.bytes;
      continue;
    }
    const std::uint64_t size = store_.layout().cluster_size;
    const std::uint32_t count = std::min(run.count, clusters_at_once);
    const std::uint64_t bytes = std::min(run.bytes, count * size - run.offset);
    // A cursor of its own for the try: it may be in vain, when another write was faster.
    SpanCursor ahead = cursor;
    std::vector<DmaSpan> pieces;
    ahead.visit(bytes, [&pieces](const DmaSpan& span) { pieces.push_back(span); });
    if (co_await store_.run(store_.allocate(node_, at / size, count, pieces, run.offset, 0), "blob allocate")) {
      cursor = ahead;
      at += bytes;
    } else if (at >= node_.map->size() * size) {
      throw Error(Misuse::out_of_range, "the blob has become shorter").with_device("blob " + to_string(node_.id()));
    }
  }
}

Task<> DataPath::write_zeroes() const {
  if (node_.frozen.load(std::memory_order_acquire)) co_await wait_for_thaw();
  const InFlight in_flight(channel_);
  for (std::uint64_t at = offset_; at < end_;) {
    const Run run = own_run(at);
    if (run.cluster != 0) {
      co_await store_.write_zeroes(channel_.io, device_offset(run), run.bytes);
      at += run.bytes;
      continue;
    }
    const std::uint64_t size = store_.layout().cluster_size;
    const std::uint64_t bytes = std::min(run.bytes, size - run.offset);
    if (Store::resolve(node_, at / size) == 0) {
      at += bytes;
    } else if (co_await store_.run(store_.allocate(node_, at / size, 1, {}, run.offset, bytes), "blob allocate")) {
      at += bytes;
    } else if (at >= node_.map->size() * size) {
      throw Error(Misuse::out_of_range, "the blob has become shorter").with_device("blob " + to_string(node_.id()));
    }
  }
}

Task<> DataPath::unmap() const {
  if (node_.frozen.load(std::memory_order_acquire)) co_await wait_for_thaw();
  const std::uint64_t size = store_.layout().cluster_size;
  for (std::uint64_t at = offset_; at < end_;) {
    const std::uint64_t bytes = std::min(end_ - at, size - at % size);
    const bool whole = bytes == size;
    if (whole && node_.is_thin() && node_.parent.load(std::memory_order_acquire) == nullptr) {
      if (node_.map->find(at / size) != 0) co_await store_.run(store_.release(node_, at / size), "blob release");
    } else if (store_.device().supports(bdev::IoType::unmap)) {
      const InFlight in_flight(channel_);
      if (const std::uint32_t cluster = node_.map->find(at / size); cluster != 0) {
        const ByteRange range{ByteOffset{store_.layout().cluster_offset(cluster) + at % size}, ByteCount{bytes}};
        co_await store_.device().unmap(channel_.io, range);
      }
    }
    at += bytes;
  }
}

}  // namespace spdkio::blob
