#include "lvol/names.hpp"

#include <spdkio/base/error.hpp>

namespace spdkio::lvol {
namespace {

/// SPDK's limit, with the zero at the end.
constexpr std::size_t max_name = 64;

}  // namespace

void check_name(const std::string& name) {
  if (name.empty() || name.size() >= max_name || name.contains('\0')) {
    throw Error(Misuse::invalid_argument, "a name must have 1 to " + std::to_string(max_name - 1) + " characters");
  }
}

std::span<const std::byte> with_zero(const std::string& text) {
  return std::as_bytes(std::span(text.c_str(), text.size() + 1));
}

std::string text_xattr(const blob::Blob& blob, std::string_view name) {
  const auto value = blob.xattr(name);
  if (!value || value->empty() || value->back() != std::byte{0}) return {};
  return reinterpret_cast<const char*>(value->data());
}

}  // namespace spdkio::lvol
