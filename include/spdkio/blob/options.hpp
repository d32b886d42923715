// What a store and a blob are made with. All of these are views: what they point to must stay until the call has ended.
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/blob/blob_id.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace spdkio::blob {

/// What is done with clusters that a blob gives back, or with the device when a store is made.
enum class ClearMethod : std::uint8_t {
  by_default = 0,  ///< unmap where the device can
  none = 1,
  unmap = 2,
  write_zeroes = 3,
};

struct StoreOptions {
  std::uint32_t cluster_size = 1 << 20;  ///< bytes; what space is handed out in
  std::uint32_t md_page_size = 0;        ///< bytes, a power of two up to 65536; at least 4096 and what the device needs
  std::uint32_t metadata_pages = 0;      ///< room for metadata, a blob takes two or more; 0: one per cluster
  std::string_view type{};               ///< at most 16 bytes: which application the store belongs to
  ClearMethod clear_method = ClearMethod::by_default;
};

struct LoadOptions {
  std::string_view type{};  ///< ENXIO for a store of another type; empty: any
  bool recover = false;     ///< look at all metadata even if the store was unloaded in order
};

/// A named value that belongs to a blob.
struct XattrView {
  std::string_view name{};
  std::span<const std::byte> value;
};

struct BlobOptions {
  std::uint64_t num_clusters = 0;
  /// Clusters are taken when they are first written; what was never written reads as zeros. Otherwise they are taken at
  /// once, and read as whatever is there.
  bool thin = false;
  ClearMethod clear_method = ClearMethod::by_default;  ///< kept with the blob
  std::span<const XattrView> xattrs{};
  /// Name, alias or UUID of a bdev whose content the blob starts from: it is a thin clone of an external snapshot. That
  /// device is needed when the blob is open, may be of another store, and must never change. Empty: none.
  std::string_view external_snapshot{};
};

}  // namespace spdkio::blob
