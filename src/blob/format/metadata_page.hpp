// Metadata pages: what a blob is, on the disk. A root page at the place that the blob's id names, more pages chained to
// it, and extent pages that the chain names. Inside a page stand descriptors, one after the other.
#pragma once

#include <cstring>

#include "blob/format/super_block.hpp"

namespace spdkio::blob::format {

constexpr std::uint32_t no_page = ~std::uint32_t{0};
/// Set in every blob id; the lower half is the number of the root page.
constexpr std::uint64_t blob_id_high_bit = std::uint64_t{1} << 32;
constexpr std::uint64_t root_id(std::uint32_t page) noexcept { return blob_id_high_bit | page; }

constexpr std::size_t descriptor_area_bytes = page_bytes - 24;

struct MetadataPage {
  Le64 id;
  Le32 sequence;  ///< position in the chain; 0 also in extent pages
  Le32 reserved;
  std::array<std::byte, descriptor_area_bytes> descriptors{};
  Le32 next;  ///< page number; all ones: the last one
  Le32 crc;   ///< CRC-32C of all bytes before it

  std::span<const std::byte, page_bytes> bytes() const noexcept {
    return std::span<const std::byte, page_bytes>(reinterpret_cast<const std::byte*>(this), page_bytes);
  }
  void seal() noexcept { crc = page_crc(bytes()); }
  bool crc_holds() const noexcept { return crc == page_crc(bytes()); }
  bool all_zero() const noexcept;
};
static_assert(sizeof(MetadataPage) == page_bytes);
static_assert(offsetof(MetadataPage, descriptors) == 16);
static_assert(offsetof(MetadataPage, next) == 4088);

enum class DescriptorType : std::uint8_t {
  padding = 0,  ///< with length 0: the end of the page
  extent_rle = 1,
  xattr = 2,
  flags = 3,
  internal_xattr = 4,
  extent_table = 5,
  extent_page = 6,
};

/// Before every descriptor.
struct DescriptorHeader {
  DescriptorType type{};
  Le32 length;  ///< bytes after this header
};
static_assert(sizeof(DescriptorHeader) == 5);

struct FlagsDescriptor {
  Le64 invalid;  ///< an unknown bit: the blob must not be opened
  Le64 data_ro;  ///< an unknown bit: neither data nor metadata may be changed
  Le64 md_ro;    ///< an unknown bit: metadata may not be changed
};
static_assert(sizeof(FlagsDescriptor) == 24);

/// Followed by the name and the value.
struct XattrDescriptor {
  Le16 name_length;
  Le16 value_length;
};
static_assert(sizeof(XattrDescriptor) == 4);

/// A run of clusters, in an extent_rle descriptor. Cluster 0: not allocated.
struct ClusterRun {
  Le32 cluster;
  Le32 count;
};
static_assert(sizeof(ClusterRun) == 8);

/// An extent_table descriptor starts with the number of clusters of the blob, Le64; entries follow.
struct ExtentTableEntry {
  Le32 page;   ///< 0: none of the clusters is allocated
  Le32 count;  ///< how many extents in a row have no page; 1 when there is one
};
static_assert(sizeof(ExtentTableEntry) == 8);

/// An extent_page descriptor starts with the index of its first cluster, Le32; the clusters follow, Le32 each.
constexpr std::uint32_t clusters_per_extent = 512;
static_assert(sizeof(DescriptorHeader) + sizeof(Le32) * (1 + clusters_per_extent) <= descriptor_area_bytes);

namespace flag {
constexpr std::uint64_t thin = 1;  // invalid
constexpr std::uint64_t internal_xattrs = 2;
constexpr std::uint64_t extent_table = 4;
constexpr std::uint64_t external_snapshot = 8;
constexpr std::uint64_t known_invalid = thin | internal_xattrs | extent_table | external_snapshot;
constexpr std::uint64_t read_only = 1;  // data_ro
constexpr std::uint64_t known_data_ro = read_only;
constexpr std::uint64_t clear_method_mask = 3;  // md_ro
constexpr std::uint64_t known_md_ro = clear_method_mask;
}  // namespace flag

/// Names of internal attributes.
namespace internal_name {
constexpr std::string_view parent = "SNAP";                   // Le64: id of the snapshot below
constexpr std::string_view snapshot_in_progress = "SNAPTMP";  // Le64: id of the blob that it is taken of
constexpr std::string_view removal_in_progress = "SNAPRM";    // Le64: id of the only clone
constexpr std::string_view external_snapshot = "EXTSNAP";     // whatever names the device
}  // namespace internal_name

/// A mask: this header, then the bits, the lowest of each byte first.
struct MaskHeader {
  std::uint8_t type = 0;
  Le32 length;  ///< bits
};
static_assert(sizeof(MaskHeader) == 5);
enum class MaskType : std::uint8_t { used_pages = 0, used_clusters = 1, used_blobids = 2 };

}  // namespace spdkio::blob::format
