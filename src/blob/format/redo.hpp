// What this library keeps in the place of the masks while a store is dirty. SPDK rebuilds the masks of a dirty store
// without reading them, so it neither minds nor leaves any of this in place.
#pragma once

#include <optional>

#include "blob/format/metadata_page.hpp"

namespace spdkio::blob::format {

/// In the first page of the used page mask.
struct RedoHeader {
  std::array<char, 8> signature{};
  Le32 version;
  Le32 high_water;                                                ///< no metadata page from here on is in use
  std::array<std::byte, offsetof(SuperBlock, reserved)> super{};  ///< what the super block is, or is about to be
  spec::Reserved<page_bytes - 20 - offsetof(SuperBlock, reserved)> reserved{};
  Le32 crc;

  std::span<const std::byte, page_bytes> bytes() const noexcept {
    return std::span<const std::byte, page_bytes>(reinterpret_cast<const std::byte*>(this), page_bytes);
  }
};
static_assert(sizeof(RedoHeader) == page_bytes);

constexpr std::array<char, 8> redo_signature{'s', 'p', 'd', 'k', 'i', 'o', 'R', 'D'};
constexpr std::uint32_t redo_version = 1;

RedoHeader make_redo_header(std::uint32_t high_water, const SuperBlock& super) noexcept;
bool is_valid(const RedoHeader& header) noexcept;
/// The super block that the header keeps, sealed and marked as dirty.
SuperBlock super_of(const RedoHeader& header) noexcept;

/// In the first page of the used cluster mask: the page that was overwritten last, or is about to be. Its place stands
/// in `reserved`, plus one.
constexpr std::uint32_t erased_sequence = ~std::uint32_t{0};  ///< it is about to be erased
MetadataPage make_redo_page(std::uint32_t number, const MetadataPage& page, bool erased) noexcept;
/// Whether a page is one, for a place in the metadata region.
bool is_redo_page(const MetadataPage& page, std::uint32_t md_len) noexcept;

/// What the place of a redo page must hold, given what it holds now; empty: what is there is whole.
std::optional<MetadataPage> redone(const MetadataPage& redo, const MetadataPage& now) noexcept;

}  // namespace spdkio::blob::format
