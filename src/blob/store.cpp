#include "blob/store.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/bdev/bdev.hpp>

#include <algorithm>
#include <utility>

#include "blob/loader.hpp"

namespace spdkio::blob {

Store::Store(BdevDesc device)
    : disk_(std::move(device)),
      device_name_(disk_.device().name()),
      home_(CurrentThread::handle()),
      block_size_(disk_.device().block_size()) {
  const bdev::Geometry& geometry = disk_.device().bdev().geometry();
  if (geometry.metadata_interleaved && geometry.metadata_size != 0) {
    throw Error(Misuse::not_supported, "a Blobstore needs blocks without interleaved metadata")
        .with_device(disk_.device().name());
  }
  disk_.device().claim(bdev::Claim::exclusive_write, "blobstore");
}

// ---- life

Task<> Store::init(const StoreOptions& options, std::string type) {
  const bdev::Geometry& geometry = device().bdev().geometry();
  format::NewStore wanted{.device_bytes = device().size().value,
                          .cluster_size = options.cluster_size,
                          .md_page_size = std::max<std::uint32_t>({format::page_bytes, geometry.block_size,
                                                                   geometry.physical_block_size, options.md_page_size}),
                          .io_unit_size = geometry.block_size,
                          .metadata_pages = options.metadata_pages,
                          .type = type};
  auto super = format::make_super_block(wanted);
  if (super) {
    if (const auto checked = format::check_and_complete(*super, wanted.device_bytes); !checked) {
      super = std::unexpected(checked.error());
    }
  }
  if (!super) {
    throw Error(Misuse::invalid_argument, super.error())
        .with_operation("init a Blobstore")
        .with_device(device().name());
  }
  co_await disk_.format(*super);
  used_pages_.resize(layout().md_len);
  used_clusters_.resize(layout().total_clusters);
  for (std::uint32_t cluster = 0; cluster < layout().metadata_clusters; ++cluster) used_clusters_.take(cluster);
  loaded_ = true;

  const std::uint64_t data = layout().cluster_offset(layout().metadata_clusters);
  const std::uint64_t end = layout().cluster_offset(layout().total_clusters);
  if (data == end) co_return;
  const ByteRange rest{ByteOffset{data}, ByteCount{end - data}};
  if (options.clear_method == ClearMethod::write_zeroes) {
    co_await write_zeroes(disk_.channel(), data, end - data);
  } else if (options.clear_method != ClearMethod::none && device().supports(bdev::IoType::unmap)) {
    co_await device().unmap(disk_.channel(), rest);
  }
}

Task<> Store::load(std::string type, bool recover) {
  Loader loader(*this);
  co_await loader.run(type, recover);
  loaded_ = true;
}

void Store::require_idle(const char* operation) const {
  const auto busy = [&](const std::string& what) {
    return Error(std::errc::device_or_resource_busy, what).with_operation(operation).with_device(disk_.device().name());
  };
  for (const auto& [page, node] : nodes_) {
    if (node->open_count != 0) throw busy("blob " + to_string(node->id()) + " is open");
  }
  if (!channels_.empty()) throw busy(std::to_string(channels_.size()) + " channels are open");
}

Task<> Store::unload() {
  const auto operations = co_await operations_.lock();
  const auto metadata = co_await metadata_.lock();
  {
    const std::lock_guard lock(channels_mutex_);
    require_idle("unload");
  }
  if (!leaked_) {
    Bitmap blobs(layout().md_len);
    for (const auto& [page, node] : nodes_) blobs.take(page);
    co_await disk_.finish_changes(used_pages_, used_clusters_, blobs);
  } else {
    log::warn("blobstore on {}: some metadata could not be written; the next load will recover it", device().name());
  }
  loaded_ = false;
  co_await close_externals();
  disk_.close_channel();
  co_await device().close();
}

Task<> Store::destroy() {
  const auto operations = co_await operations_.lock();
  const auto metadata = co_await metadata_.lock();
  {
    const std::lock_guard lock(channels_mutex_);
    require_idle("destroy");
  }
  co_await disk_.wipe_super();
  loaded_ = false;
  co_await close_externals();
  disk_.close_channel();
  co_await device().close();
}

Task<> Store::abandon() {
  loaded_ = false;
  disk_.close_channel();
  co_await device().close();
}

Task<> Store::grow() {
  const auto operations = co_await operations_.lock();
  const auto metadata = co_await metadata_.lock();
  format::SuperBlock super = disk_.super();
  const std::uint64_t bytes = device().size().value;
  const std::uint64_t clusters = bytes / super.cluster_size;
  if (clusters <= layout().total_clusters) co_return;
  const std::uint64_t pages = format::mask_pages(clusters, layout().page_size);
  const std::uint64_t end = super.used_blobid_mask_len != 0 ? super.used_blobid_mask_start : super.md_start;
  if (super.used_cluster_mask_start + pages > end) {
    throw Error(std::errc::no_space_on_device,
                "the cluster mask has no room for " + std::to_string(clusters) + " clusters")
        .with_operation("grow a Blobstore")
        .with_device(device().name())
        .with_hint("a store made with more metadata_pages can grow further");
  }
  super.size = bytes;
  super.used_cluster_mask_len = static_cast<std::uint32_t>(pages);
  if (const auto checked = format::check_and_complete(super, bytes); !checked) {
    throw Error(Misuse::invalid_argument, checked.error()).with_operation("grow a Blobstore");
  }
  co_await disk_.begin_changes();
  co_await disk_.update_super(super);
  used_clusters_.resize(layout().total_clusters);
}

std::uint64_t Store::max_clusters() const noexcept {
  const format::SuperBlock& super = disk_.super();
  const std::uint64_t end = super.used_blobid_mask_len != 0 ? super.used_blobid_mask_start : super.md_start;
  const std::uint64_t bytes = (end - super.used_cluster_mask_start) * layout().page_size;
  return std::min<std::uint64_t>((bytes - sizeof(format::MaskHeader)) * 8, UINT32_MAX);
}

Task<> Store::set_super_blob(BlobId id) {
  const auto metadata = co_await metadata_.lock();
  format::SuperBlock super = disk_.super();
  super.super_blob = id.value;
  co_await disk_.begin_changes();
  co_await disk_.update_super(super);
}

std::string Store::type() const {
  const auto& type = disk_.super().type;
  return {type.begin(), std::ranges::find(type, '\0')};
}

}  // namespace spdkio::blob
