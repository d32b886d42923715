// BlobId: the name of a blob in its store.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace spdkio::blob {

/// A number that the store gives at creation and keeps on disk; a deleted blob's may be given again. The same number as
/// SPDK's spdk_blob_id. A default one names no blob.
struct BlobId {
  std::uint64_t value = ~std::uint64_t{0};
  constexpr BlobId() = default;
  constexpr explicit BlobId(std::uint64_t number) : value(number) {}
  constexpr auto operator<=>(const BlobId&) const = default;
  constexpr bool valid() const noexcept { return value != ~std::uint64_t{0}; }
};

/// "0x100000003"; "none" for one that names no blob.
std::string to_string(BlobId id);
/// What `to_string` gives, or a plain decimal number; empty for anything else.
std::optional<BlobId> parse_blob_id(std::string_view text);

}  // namespace spdkio::blob
