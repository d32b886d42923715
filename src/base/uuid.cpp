#include <spdkio/base/error.hpp>
#include <spdkio/base/uuid.hpp>

#include <fmt/format.h>
#include <sys/random.h>

#include <cerrno>

namespace spdkio {
namespace {

constexpr std::size_t text_length = 36;

constexpr bool is_hyphen_place(std::size_t position) {
  return position == 8 || position == 13 || position == 18 || position == 23;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Uuid Uuid::random() {
  Uuid uuid;
  std::size_t filled = 0;
  while (filled < uuid.bytes.size()) {
    const ssize_t got = ::getrandom(uuid.bytes.data() + filled, uuid.bytes.size() - filled, 0);
    if (got >= 0) {
      filled += static_cast<std::size_t>(got);
    } else if (errno != EINTR) {
      throw Error::from_errno(errno, "the kernel gives no random bytes");
    }
  }
  uuid.bytes[6] = static_cast<std::uint8_t>((uuid.bytes[6] & 0x0F) | 0x40);  // version 4
  uuid.bytes[8] = static_cast<std::uint8_t>((uuid.bytes[8] & 0x3F) | 0x80);  // the variant of RFC 9562
  return uuid;
}

Uuid Uuid::parse(std::string_view text) {
  const auto fail = [text](std::size_t position, std::string_view why) {
    return Error(Misuse::invalid_argument, fmt::format("UUID \"{}\", position {}: {}", text, position + 1, why));
  };
  Uuid uuid;
  std::size_t digits = 0;
  for (std::size_t i = 0; i < text_length; ++i) {
    if (i >= text.size()) throw fail(i, "the text ends too early");
    if (is_hyphen_place(i)) {
      if (text[i] != '-') throw fail(i, "'-' is expected");
      continue;
    }
    const int digit = hex_digit(text[i]);
    if (digit < 0) throw fail(i, "a hexadecimal digit is expected");
    auto& byte = uuid.bytes[digits++ / 2];
    byte = static_cast<std::uint8_t>(byte << 4 | digit);
  }
  if (text.size() > text_length) throw fail(text_length, "the end is expected");
  return uuid;
}

std::string Uuid::to_string() const {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string text(text_length, '-');
  std::size_t digits = 0;
  for (std::size_t i = 0; i < text_length; ++i) {
    if (is_hyphen_place(i)) continue;
    const unsigned byte = bytes[digits / 2];
    text[i] = hex[digits++ % 2 == 0 ? byte >> 4 : byte & 0xF];
  }
  return text;
}

}  // namespace spdkio
