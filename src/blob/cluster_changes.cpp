// Clusters that a blob gets when it is written, and gives back when it is unmapped.
#include <spdkio/engine/dma_buf.hpp>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#include "blob/span_cursor.hpp"
#include "blob/store.hpp"

namespace spdkio::blob {

/// One entry of a map that is to change. Changes that come while others are written are written together.
struct Store::ClusterChange {
  BlobNode* node = nullptr;
  std::uint64_t index = 0;
  std::uint32_t cluster = 0;
  bool done = false;
  std::exception_ptr failure;
  Event* finished = nullptr;
};

namespace {
constexpr std::size_t copy_bytes = 1 << 20;
}  // namespace

Store::Source Store::resolve(const BlobNode& node, std::uint64_t index) const noexcept {
  for (const BlobNode* at = &node;;) {
    if (index >= at->map->size()) return {};
    if (const std::uint32_t cluster = at->map->find(index); cluster != 0) return {.cluster = cluster};
    const BlobNode* const above = at->parent.load(std::memory_order_acquire);
    if (above != nullptr) {
      at = above;
      continue;
    }
    const ExternalSnapshot* const external = at->external.load(std::memory_order_acquire);
    if (external == nullptr) return {};
    // One that is not there hides what it has: not zeros.
    if (external->there() && index * layout().cluster_size >= external->size()) return {};
    return {.external = external};
  }
}

Task<> Store::read_external(const ExternalSnapshot& source, const IoChannel& channel, DmaSpans into,
                            std::uint64_t from) const {
  SpanCursor cursor(into);
  const std::uint64_t bytes = cursor.remaining();
  // Whole blocks of both.
  const std::uint64_t there = source.size() / block_size_ * block_size_;
  const std::uint64_t inside = from >= there ? 0 : std::min(bytes, there - from);
  for (std::uint64_t done = 0; done < inside;) {
    const auto piece = cursor.take(std::min<std::uint64_t>(inside - done, copy_bytes), block_size_);
    co_await source.device().read(channel, piece.spans, ByteOffset{from + done});
    done += piece.bytes;
  }
  cursor.visit(bytes - inside, [](const DmaSpan& span) { std::memset(span.data(), 0, span.size()); });
}

Task<> Store::lock_clusters(BlobNode& node, std::uint64_t first, std::uint64_t count) {
  const std::uint64_t end = first + count;
  const auto taken = [&] {
    return std::ranges::any_of(locked_, [&](const LockedRange& range) {
      return range.node == &node && range.first < end && first < range.end;
    });
  };
  while (taken()) {
    unlocked_.reset();
    co_await unlocked_.wait();
  }
  locked_.push_back({&node, first, end});
}

void Store::unlock_clusters(BlobNode& node, std::uint64_t first, std::uint64_t count) noexcept {
  locked_.remove_if([&](const LockedRange& range) {
    return range.node == &node && range.first == first && range.end == first + count;
  });
  unlocked_.set();
}

Task<> Store::write_zeroes(const IoChannel& channel, std::uint64_t offset, std::uint64_t bytes) {
  if (device().supports(bdev::IoType::write_zeroes)) {
    co_await device().write_zeroes(channel, ByteRange{ByteOffset{offset}, ByteCount{bytes}});
    co_return;
  }
  const DmaBuf zeros{std::min<std::uint64_t>(bytes, copy_bytes)};
  for (std::uint64_t done = 0; done < bytes;) {
    const std::uint64_t count = std::min<std::uint64_t>(zeros.size(), bytes - done);
    co_await device().write(channel, zeros.subspan(0, count), ByteOffset{offset + done});
    done += count;
  }
}

Task<> Store::fill(const BlobNode& node, std::uint64_t index, std::uint32_t cluster, std::uint64_t from,
                   std::uint64_t end) {
  if (from >= end) co_return;
  const std::uint64_t to = layout().cluster_offset(cluster);
  const Source source = resolve(node, index);
  if (source.nowhere()) {
    co_await write_zeroes(disk_.channel(), to + from, end - from);
    co_return;
  }
  if (source.external != nullptr) source.external->require();
  const std::uint64_t source_offset =
      source.external != nullptr ? index * layout().cluster_size : layout().cluster_offset(source.cluster);
  const DmaBuf buffer{std::min<std::uint64_t>(end - from, copy_bytes), {.zeroed = false}};
  for (std::uint64_t at = from; at < end;) {
    const std::uint64_t count = std::min<std::uint64_t>(buffer.size(), end - at);
    const DmaSpan part = buffer.subspan(0, count);
    if (source.external != nullptr) {
      co_await read_external(*source.external, source.external->channel(), DmaSpans{&part, 1}, source_offset + at);
    } else {
      co_await device().read(disk_.channel(), part, ByteOffset{source_offset + at});
    }
    co_await device().write(disk_.channel(), buffer.subspan(0, count), ByteOffset{to + at});
    at += count;
  }
}

Task<> Store::write_run(std::span<const std::uint32_t> clusters, DmaSpans data, std::uint64_t offset,
                        std::uint64_t zeros) {
  SpanCursor cursor(data);
  std::uint64_t left = data.empty() ? zeros : cursor.remaining();
  const std::uint64_t cluster_size = layout().cluster_size;
  for (std::size_t i = 0; i < clusters.size() && left != 0;) {
    std::size_t count = 1;
    while (i + count < clusters.size() && clusters[i + count] == clusters[i] + count) ++count;
    const std::uint64_t bytes = std::min(left, count * cluster_size - offset);
    const std::uint64_t to = layout().cluster_offset(clusters[i]) + offset;
    if (data.empty()) {
      co_await write_zeroes(disk_.channel(), to, bytes);
    } else {
      for (std::uint64_t done = 0; done < bytes;) {
        const auto piece = cursor.take(std::min<std::uint64_t>(bytes - done, copy_bytes), block_size_);
        co_await device().write(disk_.channel(), piece.spans, ByteOffset{to + done});
        done += piece.bytes;
      }
    }
    left -= bytes;
    offset = 0;
    i += count;
  }
}

Task<bool> Store::allocate(BlobNode& node, std::uint64_t first, std::uint32_t count, DmaSpans data,
                           std::uint64_t offset, std::uint64_t zeros) {
  co_await lock_clusters(node, first, count);
  std::vector<std::uint32_t> clusters;
  std::exception_ptr failure;
  bool done = false;
  try {
    bool fits = first + count <= node.map->size();
    for (std::uint64_t i = 0; fits && i < count; ++i) fits = node.map->find(first + i) == 0;
    if (fits) {
      require_certain(node);
      clusters = take_clusters(count);
      const std::uint64_t cluster_size = layout().cluster_size;
      std::uint64_t bytes = zeros;
      if (!data.empty()) bytes = SpanCursor(data).remaining();
      co_await fill(node, first, clusters.front(), 0, offset);
      co_await write_run(clusters, data, offset, zeros);
      const std::uint64_t end = offset + bytes;
      co_await fill(node, first + count - 1, clusters.back(), end - (count - 1) * cluster_size, cluster_size);

      std::vector<ClusterChange> changes(count);
      std::vector<ClusterChange*> pointers;
      for (std::uint32_t i = 0; i < count; ++i) {
        changes[i].node = &node;
        changes[i].index = first + i;
        changes[i].cluster = clusters[i];
        pointers.push_back(&changes[i]);
      }
      co_await commit(pointers);
      done = true;
    }
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure && !node.uncertain) {
    for (const std::uint32_t cluster : clusters) used_clusters_.release(cluster);
  }
  unlock_clusters(node, first, count);
  if (failure) std::rethrow_exception(failure);
  co_return done;
}

Task<> Store::release(BlobNode& node, std::uint64_t index) {
  const auto operations = co_await operations_.lock();
  co_await lock_clusters(node, index, 1);
  std::uint32_t cluster = 0;
  std::exception_ptr failure;
  try {
    cluster = index < node.map->size() ? node.map->find(index) : 0;
    if (cluster != 0) {
      ClusterChange change;
      change.node = &node;
      change.index = index;
      ClusterChange* const changes[] = {&change};
      co_await commit(changes);
    }
  } catch (...) {
    failure = std::current_exception();
  }
  // Before the wait for others: one of them may wait for this range.
  unlock_clusters(node, index, 1);
  if (failure) std::rethrow_exception(failure);
  if (cluster == 0) co_return;
  co_await quiesce();
  const std::uint32_t released[] = {cluster};
  co_await clear(static_cast<ClearMethod>(node.flags.md_ro & format::flag::clear_method_mask), released);
  used_clusters_.release(cluster);
}

Task<> Store::commit(std::span<ClusterChange* const> changes) {
  Event finished;
  for (ClusterChange* change : changes) {
    change->finished = &finished;
    waiting_changes_.push_back(change);
  }
  const auto all_done = [&] { return std::ranges::all_of(changes, [](const auto* change) { return change->done; }); };
  if (!leading_) {
    leading_ = true;
    try {
      co_await lead_commits();
    } catch (...) {
      // The wait for the lock was ended: nobody will write what waits.
      for (ClusterChange* change : std::exchange(waiting_changes_, {})) {
        change->failure = std::current_exception();
        change->done = true;
        change->finished->set();
      }
    }
    leading_ = false;
  }
  while (!all_done()) {
    finished.reset();
    co_await finished.wait();
  }
  for (const ClusterChange* change : changes) {
    if (change->failure) std::rethrow_exception(change->failure);
  }
}

Task<> Store::lead_commits() {
  while (!waiting_changes_.empty()) {
    const auto guard = co_await metadata_.lock();
    const std::vector<ClusterChange*> changes = std::exchange(waiting_changes_, {});
    std::map<BlobNode*, Overlay> by_node;
    std::set<BlobNode*> releasing;
    for (const ClusterChange* change : changes) {
      by_node[change->node][change->index] = change->cluster;
      if (change->cluster == 0) releasing.insert(change->node);
    }
    for (auto& [node, overlay] : by_node) {
      std::exception_ptr failure;
      try {
        co_await commit_node(*node, overlay, releasing.contains(node));
        for (const auto& [index, cluster] : overlay) node->map->set(index, cluster);
      } catch (...) {
        failure = std::current_exception();
      }
      for (ClusterChange* change : changes) {
        if (change->node != node) continue;
        change->failure = failure;
        change->done = true;
        change->finished->set();
      }
    }
  }
}

Task<> Store::commit_node(BlobNode& node, const Overlay& overlay, bool releases) {
  std::set<std::uint32_t> extents;
  for (const auto& [index, cluster] : overlay) {
    extents.insert(static_cast<std::uint32_t>(index / format::clusters_per_extent));
  }
  // The common case: one extent, which has a page. Otherwise the blob's other metadata changes as well.
  if (node.extent_table && extents.size() == 1 && node.extent_pages.contains(*extents.begin())) {
    co_await persist_in_place(node, *extents.begin(), overlay);
    if (releases) co_await disk_.flush();  // before the clusters are used for something else
    co_return;
  }
  co_await persist(node, node.map->size(), extents, overlay);
}

}  // namespace spdkio::blob
