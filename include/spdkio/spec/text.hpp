// Text in fixed fields of structures.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace spdkio::spec {

/// ASCII, padded with spaces (serial and model numbers) or zeroes (NQNs).
template <std::size_t Count>
struct Text {
  std::array<char, Count> chars{};

  /// Without the padding and without what comes behind a zero. Bytes that are no printable ASCII become '?': they come
  /// from a device.
  std::string to_string() const {
    const auto* end = std::find(chars.begin(), chars.end(), '\0');
    std::string text(chars.begin(), end);
    while (!text.empty() && text.back() == ' ') text.pop_back();
    for (char& c : text) {
      if (c < 0x20 || c > 0x7E) c = '?';
    }
    return text;
  }
  /// Cuts what does not fit.
  void assign_padded(std::string_view text, char padding) noexcept {
    chars.fill(padding);
    std::copy_n(text.begin(), std::min(text.size(), Count), chars.begin());
  }
  void assign_spaces(std::string_view text) noexcept { assign_padded(text, ' '); }
  void assign_zeroes(std::string_view text) noexcept { assign_padded(text, '\0'); }
  bool operator==(const Text&) const noexcept = default;
};

}  // namespace spdkio::spec
