#include <spdkio/blob/blob_id.hpp>

#include <charconv>

namespace spdkio::blob {

std::string to_string(BlobId id) {
  if (!id.valid()) return "none";
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof(digits), id.value, 16).ptr;
  return "0x" + std::string(digits, end);
}

std::optional<BlobId> parse_blob_id(std::string_view text) {
  if (text == "none") return BlobId{};
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    base = 16;
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return BlobId{value};
}

}  // namespace spdkio::blob
