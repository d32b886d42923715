#include "blob/format/redo.hpp"

namespace spdkio::blob::format {

RedoHeader make_redo_header(std::uint32_t high_water, const SuperBlock& super) noexcept {
  RedoHeader header;
  header.signature = redo_signature;
  header.version = redo_version;
  header.high_water = high_water;
  std::memcpy(header.super.data(), &super, header.super.size());
  header.crc = page_crc(header.bytes());
  return header;
}

bool is_valid(const RedoHeader& header) noexcept {
  return header.signature == redo_signature && header.version == redo_version && header.crc == page_crc(header.bytes());
}

SuperBlock super_of(const RedoHeader& header) noexcept {
  SuperBlock super;
  std::memcpy(static_cast<void*>(&super), header.super.data(), header.super.size());
  super.clean = 0;
  seal(super);
  return super;
}

MetadataPage make_redo_page(std::uint32_t number, const MetadataPage& page, bool erased) noexcept {
  MetadataPage redo = page;
  redo.reserved = number + 1;
  if (erased) redo.sequence = erased_sequence;
  redo.seal();
  return redo;
}

bool is_redo_page(const MetadataPage& page, std::uint32_t md_len) noexcept {
  return page.crc_holds() && page.reserved != 0 && page.reserved <= md_len;
}

std::optional<MetadataPage> redone(const MetadataPage& redo, const MetadataPage& now) noexcept {
  // All zeros: it was erased, or the write had not begun.
  if (now.crc_holds() || now.all_zero()) return std::nullopt;
  if (redo.sequence == erased_sequence) return MetadataPage{};
  MetadataPage whole = redo;
  whole.reserved = 0;
  whole.seal();
  return whole;
}

}  // namespace spdkio::blob::format
