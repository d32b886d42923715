// Blobstore metadata from any bytes: refused with a reason, or a blob that fits the store and is the same after it was
// written and read again.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include "blob/format/blob_metadata.hpp"
#include "blob/format/redo.hpp"

namespace fuzz {

using namespace spdkio::blob::format;

void require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

constexpr Limits limits{.md_len = 1000, .total_clusters = 5000, .first_data_cluster = 10};

void check(const BlobMetadata& blob) {
  std::uint64_t clusters = 0;
  std::uint64_t allocated = 0;
  for (const ClusterRun& run : blob.runs) {
    clusters += run.count;
    if (run.cluster == 0) {
      require(blob.thin(), "a hole in a thick blob");
      continue;
    }
    allocated += run.count;
    require(run.cluster >= limits.first_data_cluster, "a cluster of the metadata");
    require(run.cluster + std::uint64_t{run.count} <= limits.total_clusters, "a cluster beyond the store");
  }
  require(allocated <= limits.total_clusters, "more clusters than the store has");
  if (!blob.extent_table) require(clusters == blob.num_clusters, "num_clusters of runs");
  std::uint64_t extents = 0;
  for (const ExtentTableEntry& entry : blob.table) {
    extents += entry.count;
    require(entry.page < limits.md_len, "an extent page beyond the metadata");
    require(entry.page != 0 || blob.thin(), "a hole in a thick blob");
  }
  require(blob.table.empty() || extents == (blob.num_clusters + 511) / 512, "num_clusters of the table");
}

void check_same(const BlobMetadata& blob) {
  for (const auto* xattrs : {&blob.xattrs, &blob.internal_xattrs}) {
    for (const auto& [name, value] : *xattrs) require(name.size() + value.size() <= max_xattr_bytes, "a long xattr");
  }
  MetadataReader reader(limits);
  for (const MetadataPage& page : write_chain(blob)) require(reader.add_page(page).has_value(), "not read again");
  const auto again = std::move(reader).finish(blob.id);
  require(again.has_value(), "does not fit together any more");
  require(again->num_clusters == blob.num_clusters && again->xattrs == blob.xattrs &&
              again->internal_xattrs == blob.internal_xattrs && again->flags.invalid == blob.flags.invalid &&
              again->table.size() == blob.table.size() && again->runs.size() == blob.runs.size(),
          "not the same any more");
}

}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fuzz;
  const std::span<const std::uint8_t> input(data, size);
  // A super block, whatever else it is.
  SuperBlock super;
  if (size != 0) std::memcpy(static_cast<void*>(&super), data, std::min(size, sizeof(super)));
  super.signature = super_signature;
  if (check_and_complete(super, std::uint64_t{1} << 40)) {
    const Layout layout(super);
    require(layout.page_offset(layout.md_len) <= super.size, "metadata beyond the end");
    require(layout.metadata_clusters <= layout.total_clusters, "more metadata than store");
  } else {
    (void)mend_torn_clean_flag(super);
  }

  MetadataReader reader(limits);
  for (std::size_t at = 0; at < size; at += descriptor_area_bytes) {
    const auto piece = input.subspan(at, std::min(descriptor_area_bytes, size - at));
    MetadataPage page;
    std::memcpy(page.descriptors.data(), piece.data(), piece.size());
    page.seal();
    if (const auto clusters = read_extent_page(page, 0, limits)) {
      require(!clusters->empty() && clusters->size() <= clusters_per_extent, "clusters of an extent page");
    }
    (void)is_redo_page(page, limits.md_len);
    if (!reader.add_page(page)) return 0;
  }
  const auto blob = std::move(reader).finish(root_id(1));
  if (!blob) {
    require(!blob.error().empty(), "no reason");
    return 0;
  }
  check(*blob);
  check_same(*blob);
  return 0;
}
