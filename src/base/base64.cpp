#include <spdkio/base/base64.hpp>
#include <spdkio/base/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace spdkio {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::uint8_t no_digit = 64;

constexpr auto digit_values = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(no_digit);
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    values[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  return values;
}();

[[noreturn]] void fail(std::size_t position, std::string_view why) {
  throw Error(Misuse::invalid_argument, fmt::format("base64, position {}: {}", position + 1, why));
}

}  // namespace

std::string base64_encode(std::span<const std::byte> data) {
  std::string text;
  text.reserve((data.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < data.size(); i += 3) {
    const std::size_t bytes = std::min<std::size_t>(3, data.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < bytes ? std::to_integer<std::uint32_t>(data[i + j]) : 0);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      text += j <= bytes ? alphabet[group >> (18 - 6 * j) & 0x3F] : '=';
    }
  }
  return text;
}

std::vector<std::byte> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) fail(text.size(), "the length is not a multiple of 4");
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;

  std::vector<std::byte> data;
  data.reserve(text.size() / 4 * 3);
  const std::size_t digits = text.size() - padding;
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t group = 0;
    for (std::size_t j = i; j < i + 4; ++j) {
      std::uint32_t value = 0;
      if (j < digits) {
        value = digit_values[static_cast<unsigned char>(text[j])];
        if (value == no_digit) fail(j, text[j] == '=' ? "padding inside the text" : "not a digit of base64");
      }
      group = group << 6 | value;
    }
    const std::size_t bytes = i + 4 <= digits ? 3 : 3 - padding;
    for (std::size_t j = 0; j < bytes; ++j) data.push_back(static_cast<std::byte>(group >> (16 - 8 * j)));
    if (const std::uint32_t unused = group & ((std::uint32_t{1} << (24 - 8 * bytes)) - 1); bytes < 3 && unused != 0) {
      fail(digits - 1, "bits are set that no byte uses");
    }
  }
  return data;
}

}  // namespace spdkio
