#include "blob/data_path.hpp"

#include <spdkio/runtime/for_each_concurrent.hpp>

#include <algorithm>
#include <cstring>
#include <ranges>
#include <vector>

namespace spdkio::blob {
namespace {

/// The longest transfer that the device is asked for at once, bytes.
constexpr std::uint64_t transfer_bytes = 1 << 20;
/// Clusters that are allocated together, at most so many of them or bytes: their metadata is written once.
constexpr std::uint64_t clusters_at_once = 64;
constexpr std::uint64_t allocated_bytes = std::uint64_t{4} << 20;
/// Segments of one operation that are worked on at the same time.
constexpr std::size_t segments_at_once = 8;

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
  const auto goes_on = [&run](const Store::Source& next) {
    if (run.source.cluster != 0) return next.cluster == run.source.cluster + run.count;
    return next.cluster == 0 && next.external == run.source.external;
  };
  while (first + run.count <= last && run.count < UINT32_MAX / 2 && goes_on(find(first + run.count))) ++run.count;
  run.bytes = std::min(end_ - at, run.count * size - run.offset);
  return run;
}

DataPath::Run DataPath::own_run(std::uint64_t at) const noexcept {
  const ClusterMap& map = *node_.map;
  return run_at(at, [&map](std::uint64_t index) { return Store::Source{.cluster = map.find(index)}; });
}

DataPath::Run DataPath::visible_run(std::uint64_t at) const noexcept {
  return run_at(at, [this](std::uint64_t index) { return store_.resolve(node_, index); });
}

Task<> DataPath::wait_for_thaw() const {
  while (node_.frozen.load(std::memory_order_acquire)) co_await channel_.thawed.wait();
}

// ---- reads and writes

std::uint64_t DataPath::segment_bytes(std::uint64_t at, bool writes) const noexcept {
  const Run run = writes ? own_run(at) : visible_run(at);
  if (run.source.cluster != 0 || run.source.external != nullptr) return std::min(run.bytes, transfer_bytes);
  if (!writes) return run.bytes;
  const std::uint64_t size = store_.layout().cluster_size;
  const std::uint64_t clusters = std::clamp<std::uint64_t>(allocated_bytes / size, 1, clusters_at_once);
  return std::min(run.bytes, clusters * size - run.offset);
}

std::optional<DataPath::Segment> DataPath::next(Segments& segments) const {
  if (segments.at >= end_) return std::nullopt;
  const std::uint64_t bytes = segment_bytes(segments.at, segments.writes);
  Segment segment{segments.at, bytes, segments.cursor};
  segments.cursor.visit(bytes, [](const DmaSpan&) {});
  segments.at += bytes;
  return segment;
}

Task<> DataPath::work(Segments& segments) const {
  while (auto segment = next(segments)) {
    if (segments.writes) {
      co_await write_segment(*segment);
    } else {
      co_await read_segment(*segment);
    }
  }
}

Task<> DataPath::transfer(DmaSpans data, bool writes) const {
  if (node_.frozen.load(std::memory_order_acquire)) co_await wait_for_thaw();
  const InFlight in_flight(channel_);
  const std::uint64_t bytes = segment_bytes(offset_, writes);
  if (bytes == end_ - offset_) {
    Segment whole{offset_, bytes, SpanCursor(data)};
    if (writes) {
      co_await write_segment(whole);
    } else {
      co_await read_segment(whole);
    }
    co_return;
  }
  Segments segments{*this, SpanCursor(data), writes, offset_};
  const auto worker = [&segments](std::size_t) { return segments.path.work(segments); };
  co_await for_each_concurrent(segments_at_once, std::views::iota(std::size_t{0}, segments_at_once), worker);
}

Task<> DataPath::read(DmaSpans into) const { return transfer(into, false); }
Task<> DataPath::write(DmaSpans data) const { return transfer(data, true); }

Task<> DataPath::read_segment(Segment& segment) const {
  const std::uint64_t end = segment.at + segment.bytes;
  for (std::uint64_t at = segment.at; at < end;) {
    // Looked up again: what was a hole when the segment was cut may be one no more.
    const Run run = visible_run(at);
    const std::uint64_t bytes = std::min(run.bytes, end - at);
    if (run.source.nowhere()) {
      segment.cursor.visit(bytes, [](const DmaSpan& span) { std::memset(span.data(), 0, span.size()); });
      at += bytes;
      continue;
    }
    for (std::uint64_t done = 0; done < bytes;) {
      const auto piece = segment.cursor.take(std::min(transfer_bytes, bytes - done), store_.block_size());
      if (run.source.cluster != 0) {
        co_await store_.device().read(channel_.io, piece.spans, ByteOffset{device_offset(run) + done});
      } else {
        run.source.external->require();
        const IoChannel& channel = channel_.channel_of(*run.source.external);
        co_await store_.read_external(*run.source.external, channel, piece.spans, at + done);
      }
      done += piece.bytes;
    }
    at += bytes;
  }
}

Task<> DataPath::write_segment(Segment& segment) const {
  const std::uint64_t size = store_.layout().cluster_size;
  const std::uint64_t end = segment.at + segment.bytes;
  for (std::uint64_t at = segment.at; at < end;) {
    const Run run = own_run(at);
    const std::uint64_t run_bytes = std::min(run.bytes, end - at);
    if (run.source.cluster != 0) {
      for (std::uint64_t done = 0; done < run_bytes;) {
        const auto piece = segment.cursor.take(std::min(transfer_bytes, run_bytes - done), store_.block_size());
        co_await store_.device().write(channel_.io, piece.spans, ByteOffset{device_offset(run) + done});
        done += piece.bytes;
      }
      at += run_bytes;
      continue;
    }
    // At most what `segment_bytes` counted.
    const auto count = static_cast<std::uint32_t>((run.offset + run_bytes + size - 1) / size);
    // A cursor of its own for the try: it may be in vain, when another write was faster.
    SpanCursor ahead = segment.cursor;
    std::vector<DmaSpan> pieces;
    ahead.visit(run_bytes, [&pieces](const DmaSpan& span) { pieces.push_back(span); });
    if (co_await store_.run(store_.allocate(node_, at / size, count, pieces, run.offset, 0), "blob allocate")) {
      segment.cursor = ahead;
      at += run_bytes;
    } else if (at >= node_.map->size() * size) {
      throw Error(Misuse::out_of_range, "the blob has become shorter").with_device("blob " + to_string(node_.id()));
    }
  }
}

// ---- the others

Task<> DataPath::write_zeroes() const {
  if (node_.frozen.load(std::memory_order_acquire)) co_await wait_for_thaw();
  const InFlight in_flight(channel_);
  for (std::uint64_t at = offset_; at < end_;) {
    const Run run = own_run(at);
    if (run.source.cluster != 0) {
      co_await store_.write_zeroes(channel_.io, device_offset(run), run.bytes);
      at += run.bytes;
      continue;
    }
    const std::uint64_t size = store_.layout().cluster_size;
    const std::uint64_t bytes = std::min(run.bytes, size - run.offset);
    if (store_.resolve(node_, at / size).nowhere()) {
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
    const bool on_its_own = node_.parent.load(std::memory_order_acquire) == nullptr &&
                            node_.external.load(std::memory_order_acquire) == nullptr;
    if (whole && node_.is_thin() && on_its_own) {
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
