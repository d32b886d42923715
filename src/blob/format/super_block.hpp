// The first page of a Blobstore, as it lies on the disk. docs/formats/blobstore.md has the picture.
#pragma once

#include <spdkio/spec/endian.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>

namespace spdkio::blob::format {

using spec::Le16;
using spec::Le32;
using spec::Le64;

/// Bytes of a super block and of the part of a metadata page that has a meaning; the smallest metadata page.
constexpr std::size_t page_bytes = 4096;
constexpr std::uint32_t current_version = 3;
constexpr std::array<char, 8> super_signature{'S', 'P', 'D', 'K', 'B', 'L', 'O', 'B'};

/// What is wrong with something read from a disk, in words.
using Damage = std::string;
template <class T = void>
using Checked = std::expected<T, Damage>;

struct SuperBlock {
  std::array<char, 8> signature{};
  Le32 version;
  Le32 length;      ///< bytes of this structure
  Le32 clean;       ///< 1: unloaded in order, the masks are right
  Le64 super_blob;  ///< id of the blob that the application starts from; all ones: none
  Le32 cluster_size;
  Le32 used_page_mask_start;  ///< all starts and lengths in metadata pages from the start of the device
  Le32 used_page_mask_len;
  Le32 used_cluster_mask_start;
  Le32 used_cluster_mask_len;
  Le32 md_start;
  Le32 md_len;
  std::array<char, 16> type{};  ///< of the application, padded with zeros
  Le32 used_blobid_mask_start;
  Le32 used_blobid_mask_len;  ///< 0 before version 3
  Le64 size;                  ///< bytes of the store; 0: the whole device
  Le32 io_unit_size;          ///< 0: 4096
  Le32 md_page_size;          ///< 0: 4096
  spec::Reserved<3996> reserved{};
  Le32 crc;  ///< CRC-32C of all bytes before it
};
static_assert(sizeof(SuperBlock) == page_bytes);
static_assert(offsetof(SuperBlock, super_blob) == 20);
static_assert(offsetof(SuperBlock, md_start) == 48);
static_assert(offsetof(SuperBlock, type) == 56);
static_assert(offsetof(SuperBlock, size) == 80);
static_assert(offsetof(SuperBlock, reserved) == 96);
static_assert(offsetof(SuperBlock, crc) == 4092);

/// CRC-32C of a page but its last four bytes, where it stands.
std::uint32_t page_crc(std::span<const std::byte, page_bytes> page) noexcept;
void seal(SuperBlock& super) noexcept;
bool crc_holds(const SuperBlock& super) noexcept;

/// True when a page that fails its CRC is one whose `clean` flag alone was being changed when the power went: the
/// checksum holds for the other value. `super` then has the value 0, which is always safe, and a right checksum.
bool mend_torn_clean_flag(SuperBlock& super) noexcept;

/// Everything that can be checked without the device's other content, so that no later computation can go wrong:
/// signature, version, that all regions lie inside `device_bytes`, in the order of the format and apart from each
/// other, and that the masks are long enough. Not the CRC. Replaces zeros by what they stand for.
Checked<> check_and_complete(SuperBlock& super, std::uint64_t device_bytes);

/// The geometry that `super` describes; it was checked.
struct Layout {
  std::uint32_t page_size = 0;  ///< bytes
  std::uint32_t cluster_size = 0;
  std::uint32_t md_start = 0;  ///< pages
  std::uint32_t md_len = 0;
  std::uint32_t total_clusters = 0;
  std::uint32_t metadata_clusters = 0;  ///< from the first one: what no blob gets

  explicit Layout(const SuperBlock& super) noexcept;
  Layout() = default;
  std::uint64_t page_offset(std::uint32_t md_page) const noexcept {
    return (std::uint64_t{md_start} + md_page) * page_size;
  }
  std::uint64_t cluster_offset(std::uint32_t cluster) const noexcept { return std::uint64_t{cluster} * cluster_size; }
};

/// A super block for a new store, sealed; the error says which choice does not fit the device.
struct NewStore {
  std::uint64_t device_bytes = 0;
  std::uint32_t cluster_size = 0;
  std::uint32_t md_page_size = page_bytes;
  std::uint32_t io_unit_size = 512;
  std::uint32_t metadata_pages = 0;  ///< 0: one per cluster
  std::string_view type;
};
Checked<SuperBlock> make_super_block(const NewStore& store);

/// Pages that a mask of `bits` bits takes, its header included.
constexpr std::uint64_t mask_pages(std::uint64_t bits, std::uint32_t page_size) noexcept {
  constexpr std::uint64_t header = 5;
  return (header + (bits + 7) / 8 + page_size - 1) / page_size;
}

}  // namespace spdkio::blob::format
