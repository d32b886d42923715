// BlobMetadata: what the pages of one blob say, and the way from pages to it and back.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "blob/format/metadata_page.hpp"

namespace spdkio::blob::format {

using Xattrs = std::map<std::string, std::vector<std::byte>, std::less<>>;

struct BlobMetadata {
  std::uint64_t id = 0;
  FlagsDescriptor flags{};
  Xattrs xattrs;
  Xattrs internal_xattrs;
  /// How the clusters are kept: an extent table that names extent pages, or runs in the chain itself.
  bool extent_table = false;
  std::uint64_t num_clusters = 0;
  std::vector<ExtentTableEntry> table;  ///< extent_table: as read, no-page entries run-length encoded
  std::vector<ClusterRun> runs;         ///< otherwise

  bool thin() const noexcept { return (flags.invalid & flag::thin) != 0; }
  /// An internal attribute that holds a blob id.
  std::optional<std::uint64_t> internal_id(std::string_view name) const;
  void set_internal_id(std::string_view name, std::uint64_t id);
};

/// What a store of this size allows, so that hostile numbers are refused before anything is allocated for them.
struct Limits {
  std::uint32_t md_len = 0;
  std::uint32_t total_clusters = 0;
  std::uint32_t first_data_cluster = 0;
};

/// Longest xattr that fits a page: name and value together, in bytes.
constexpr std::size_t max_xattr_bytes = descriptor_area_bytes - sizeof(DescriptorHeader) - sizeof(XattrDescriptor);

/// Reads the pages of a chain one after the other.
class MetadataReader {
 public:
  explicit MetadataReader(const Limits& limits) noexcept : limits_(limits) {}
  /// `page` is the next of the chain; its checksum, id and sequence were checked.
  Checked<> add_page(const MetadataPage& page);
  /// After the last one: that the parts fit together.
  Checked<BlobMetadata> finish(std::uint64_t id) &&;

 private:
  Checked<> add_flags(std::span<const std::byte> body);
  Checked<> add_xattr(std::span<const std::byte> body, Xattrs& to);
  Checked<> add_runs(std::span<const std::byte> body);
  Checked<> add_table(std::span<const std::byte> body);

  Limits limits_;
  BlobMetadata blob_;
  bool any_runs_ = false;
  bool any_table_ = false;
  std::uint64_t allocated_ = 0;
  std::uint64_t extents_ = 0;
};

/// The clusters of an extent page that covers clusters from `first_index` on; at most clusters_per_extent. Checks the
/// page's checksum and that it is what the extent table says.
Checked<std::vector<std::uint32_t>> read_extent_page(const MetadataPage& page, std::uint32_t first_index,
                                                     const Limits& limits);
void write_extent_page(MetadataPage& page, std::uint64_t id, std::uint32_t first_index,
                       std::span<const std::uint32_t> clusters);

/// The chain of a blob: page numbers are filled in by `link`. Flags, xattrs and the table or the runs.
std::vector<MetadataPage> write_chain(const BlobMetadata& blob);
/// Sets `next` of each page to the number of the following one and seals all; `numbers` has as many as `chain`.
void link(std::span<MetadataPage> chain, std::span<const std::uint32_t> numbers);

}  // namespace spdkio::blob::format
