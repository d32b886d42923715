#include "blob/format/super_block.hpp"

#include <spdkio/base/crc32c.hpp>

#include <algorithm>
#include <bit>
#include <limits>

namespace spdkio::blob::format {
namespace {

std::span<const std::byte, page_bytes> bytes_of(const SuperBlock& super) noexcept {
  return std::span<const std::byte, page_bytes>(reinterpret_cast<const std::byte*>(&super), page_bytes);
}

constexpr std::uint64_t max_clusters = std::numeric_limits<std::uint32_t>::max() - 1;

Checked<> damaged(std::string text) { return std::unexpected(std::move(text)); }

}  // namespace

std::uint32_t page_crc(std::span<const std::byte, page_bytes> page) noexcept {
  return crc32c(page.first<page_bytes - sizeof(Le32)>());
}

void seal(SuperBlock& super) noexcept { super.crc = page_crc(bytes_of(super)); }

bool crc_holds(const SuperBlock& super) noexcept { return super.crc == page_crc(bytes_of(super)); }

bool mend_torn_clean_flag(SuperBlock& super) noexcept {
  for (const std::uint32_t clean : {0U, 1U}) {
    SuperBlock other = super;
    other.clean = clean;
    if (!crc_holds(other)) continue;
    super.clean = 0;
    seal(super);
    return true;
  }
  return false;
}

Checked<> check_and_complete(SuperBlock& super, std::uint64_t device_bytes) {
  if (super.signature != super_signature) return damaged("there is no Blobstore: the signature is missing");
  if (super.version < 1 || super.version > current_version) {
    return damaged("version " + std::to_string(super.version.value()) + " of the format is not known");
  }
  if (super.size == 0) super.size = device_bytes;
  if (super.io_unit_size == 0) super.io_unit_size = page_bytes;
  if (super.md_page_size == 0) super.md_page_size = page_bytes;

  const std::uint32_t page = super.md_page_size;
  if (page < page_bytes || page > 65536 || !std::has_single_bit(page)) {
    return damaged("a metadata page of " + std::to_string(page) + " bytes is not possible");
  }
  if (super.cluster_size < page || super.cluster_size % page != 0) {
    return damaged("a cluster of " + std::to_string(super.cluster_size.value()) + " bytes is not possible");
  }
  if (super.size > device_bytes) {
    return damaged("the store has " + std::to_string(super.size.value()) + " bytes, but the device only " +
                   std::to_string(device_bytes));
  }
  const std::uint64_t clusters = super.size / super.cluster_size;
  if (clusters > max_clusters) return damaged("the store has more clusters than the format can count");
  if (super.md_len == 0) return damaged("the store has no metadata pages");

  // The regions in the order in which they lie; each ends before the next one starts.
  const struct {
    const char* name;
    std::uint64_t start, length, needed;
  } regions[] = {
      {"used page mask", super.used_page_mask_start, super.used_page_mask_len, mask_pages(super.md_len, page)},
      {"used cluster mask", super.used_cluster_mask_start, super.used_cluster_mask_len, mask_pages(clusters, page)},
      {"used blob mask", super.used_blobid_mask_start, super.used_blobid_mask_len, mask_pages(super.md_len, page)},
      {"metadata", super.md_start, super.md_len, 1},
  };
  std::uint64_t end = 1;
  for (const auto& region : regions) {
    if (region.length == 0 && &region == &regions[2]) continue;  // before version 3
    if (region.start < end) return damaged(std::string("the ") + region.name + " overlaps what lies before it");
    if (region.length < region.needed) return damaged(std::string("the ") + region.name + " is too short");
    end = region.start + region.length;
  }
  if (end > super.size / page) return damaged("the metadata reaches beyond the end of the store");
  return {};
}

Layout::Layout(const SuperBlock& super) noexcept
    : page_size(super.md_page_size),
      cluster_size(super.cluster_size),
      md_start(super.md_start),
      md_len(super.md_len),
      total_clusters(static_cast<std::uint32_t>(super.size / super.cluster_size)) {
  const std::uint64_t metadata_bytes = (std::uint64_t{md_start} + md_len) * page_size;
  metadata_clusters = static_cast<std::uint32_t>(
      std::min<std::uint64_t>((metadata_bytes + cluster_size - 1) / cluster_size, total_clusters));
}

Checked<SuperBlock> make_super_block(const NewStore& store) {
  SuperBlock super;
  const std::uint32_t page = store.md_page_size;
  if (store.cluster_size == 0 || store.cluster_size % page != 0) {
    return std::unexpected("cluster_size must be a multiple of " + std::to_string(page));
  }
  if (store.type.size() > super.type.size()) return std::unexpected("type must not be longer than 16 bytes");
  const std::uint64_t clusters = store.device_bytes / store.cluster_size;
  if (clusters > max_clusters) return std::unexpected("cluster_size is too small for a device of this size");
  const std::uint64_t md_len = store.metadata_pages != 0 ? store.metadata_pages : clusters;

  super.signature = super_signature;
  super.version = current_version;
  super.length = static_cast<std::uint32_t>(sizeof(SuperBlock));
  super.super_blob = ~std::uint64_t{0};
  super.cluster_size = store.cluster_size;
  super.io_unit_size = store.io_unit_size;
  super.md_page_size = page;
  super.size = store.device_bytes;
  std::ranges::copy(store.type, super.type.begin());

  const std::uint64_t pages_mask = mask_pages(md_len, page);
  const std::uint64_t clusters_mask = mask_pages(clusters, page);
  // Room for the mask to grow with the device: as many clusters as there are metadata pages.
  const std::uint64_t clusters_room = std::max(clusters_mask, pages_mask);
  const std::uint64_t md_start = 1 + pages_mask + clusters_room + pages_mask;
  const std::uint64_t metadata_bytes = (md_start + md_len) * page;
  if ((metadata_bytes + store.cluster_size - 1) / store.cluster_size > clusters || clusters == 0) {
    return std::unexpected("the device is too small for the metadata: use fewer metadata pages or smaller clusters");
  }
  super.used_page_mask_start = 1;
  super.used_page_mask_len = static_cast<std::uint32_t>(pages_mask);
  super.used_cluster_mask_start = static_cast<std::uint32_t>(1 + pages_mask);
  super.used_cluster_mask_len = static_cast<std::uint32_t>(clusters_mask);
  super.used_blobid_mask_start = static_cast<std::uint32_t>(1 + pages_mask + clusters_room);
  super.used_blobid_mask_len = static_cast<std::uint32_t>(pages_mask);
  super.md_start = static_cast<std::uint32_t>(md_start);
  super.md_len = static_cast<std::uint32_t>(md_len);
  seal(super);
  return super;
}

}  // namespace spdkio::blob::format
