#include "base/named_uuid.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

namespace spdkio {
namespace {

/// SHA-1, FIPS 180-4. Version 5 asks for it; it protects nothing here.
std::array<std::uint8_t, 20> sha1(std::vector<std::uint8_t> message) {
  constexpr std::size_t chunk_size = 64;
  const std::uint64_t bits = std::uint64_t{message.size()} * 8;
  message.push_back(0x80);
  while (message.size() % chunk_size != chunk_size - 8) message.push_back(0);
  for (int shift = 56; shift >= 0; shift -= 8) message.push_back(static_cast<std::uint8_t>(bits >> shift));

  std::array<std::uint32_t, 5> hash{0x6745'2301, 0xEFCD'AB89, 0x98BA'DCFE, 0x1032'5476, 0xC3D2'E1F0};
  for (std::size_t chunk = 0; chunk < message.size(); chunk += chunk_size) {
    std::array<std::uint32_t, 80> words{};
    for (std::size_t i = 0; i < chunk_size; ++i) words[i / 4] = words[i / 4] << 8 | message[chunk + i];
    for (std::size_t i = 16; i < words.size(); ++i) {
      words[i] = std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    }
    auto [a, b, c, d, e] = hash;
    for (std::size_t i = 0; i < words.size(); ++i) {
      const std::uint32_t mixed = i < 20   ? ((b & c) | (~b & d)) + 0x5A82'7999
                                  : i < 40 ? (b ^ c ^ d) + 0x6ED9'EBA1
                                  : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8F1B'BCDC
                                           : (b ^ c ^ d) + 0xCA62'C1D6;
      const std::uint32_t next = std::rotl(a, 5) + mixed + e + words[i];
      e = d;
      d = c;
      c = std::rotl(b, 30);
      b = a;
      a = next;
    }
    const std::array<std::uint32_t, 5> chunk_hash{a, b, c, d, e};
    for (std::size_t i = 0; i < hash.size(); ++i) hash[i] += chunk_hash[i];
  }
  std::array<std::uint8_t, 20> digest;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<std::uint8_t>(hash[i / 4] >> (24 - 8 * (i % 4)));
  }
  return digest;
}

}  // namespace

Uuid named_uuid(const Uuid& space, std::span<const std::uint8_t> name) {
  std::vector<std::uint8_t> message(space.bytes.begin(), space.bytes.end());
  message.insert(message.end(), name.begin(), name.end());
  const auto digest = sha1(std::move(message));
  Uuid uuid;
  std::copy_n(digest.begin(), uuid.bytes.size(), uuid.bytes.begin());
  uuid.bytes[6] = static_cast<std::uint8_t>((uuid.bytes[6] & 0x0F) | 0x50);
  uuid.bytes[8] = static_cast<std::uint8_t>((uuid.bytes[8] & 0x3F) | 0x80);
  return uuid;
}

}  // namespace spdkio
