#include "spdkio/blob/blob_length.hpp"

#include <spdkio/spec/endian.hpp>

#include <cstring>
#include <span>
#include <string_view>

namespace spdkio::tool {
namespace {

constexpr std::string_view xattr_name = "length";

}  // namespace

std::optional<std::uint64_t> length_of(const blob::Blob& blob) {
  const auto value = blob.xattr(xattr_name);
  spec::Le64 length = 0;
  if (!value || value->size() != sizeof(length)) return std::nullopt;
  std::memcpy(static_cast<void*>(&length), value->data(), sizeof(length));
  const std::uint64_t bytes = length;
  if (bytes > blob.size().value) return std::nullopt;
  return bytes;
}

void set_length(blob::Blob& blob, std::uint64_t bytes) {
  const spec::Le64 length = bytes;
  blob.set_xattr(xattr_name, std::as_bytes(std::span(&length, 1)));
}

}  // namespace spdkio::tool
