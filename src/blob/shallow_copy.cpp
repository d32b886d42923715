// What a blob has allocated itself, copied to the same place of another device.
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/for_each_concurrent.hpp>

#include <algorithm>
#include <vector>

#include "blob/store.hpp"

namespace spdkio::blob {
namespace {

/// What is in flight: pieces, each of a cluster or this many bytes.
constexpr std::uint64_t piece_bytes = std::uint64_t{1} << 20;
constexpr std::size_t clusters_at_once = 4;

void require_fit(const BlobNode& node, const BdevDesc& to, std::uint32_t block, std::uint64_t bytes) {
  const auto refuse = [&](std::error_code code, const std::string& what) {
    return Error(code, what).with_operation("shallow copy of blob " + to_string(node.id())).with_device(to.name());
  };
  if (!node.data_ro)
    throw refuse(std::make_error_code(std::errc::operation_not_permitted), "the blob can be written")
        .with_hint("take a snapshot of it and copy that");
  if (to.size().value < bytes) {
    throw refuse(Misuse::out_of_range,
                 "the device has " + std::to_string(to.size().value) + " bytes, the blob " + std::to_string(bytes));
  }
  if (block % to.block_size() != 0) throw refuse(Misuse::misaligned, "its blocks are larger than those of the store");
}

}  // namespace

Task<> Store::copy_own_clusters(const BlobNode& node, BdevDesc& to, CopyProgress& progress) {
  const std::uint64_t size = layout().cluster_size;
  require_fit(node, to, block_size_, node.map->size() * size);
  struct Cluster {
    std::uint64_t index;
    std::uint32_t at;
  };
  std::vector<Cluster> clusters;
  node.map->for_each_allocated(0, node.map->size(),
                               [&](std::uint64_t index, std::uint32_t at) { clusters.push_back({index, at}); });
  progress.total = clusters.size();
  const IoChannel channel = to.io_channel();
  const auto one = [&](const Cluster& cluster) -> Task<> {
    const DmaBuf buffer{static_cast<std::size_t>(std::min(size, piece_bytes))};
    for (std::uint64_t done = 0; done < size; done += buffer.size()) {
      const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - done));
      co_await device().read(disk_.channel(), buffer.subspan(0, count),
                             ByteOffset{layout().cluster_offset(cluster.at) + done});
      co_await to.write(channel, buffer.subspan(0, count), ByteOffset{cluster.index * size + done});
    }
    ++progress.done;
  };
  co_await for_each_concurrent(clusters_at_once, clusters, one);
  if (to.supports(bdev::IoType::flush)) co_await to.flush(channel);
}

}  // namespace spdkio::blob
