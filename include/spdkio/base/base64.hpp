// Base64 of RFC 4648, section 4: the standard alphabet with padding.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio {

std::string base64_encode(std::span<const std::byte> data);

/// Accepts exactly what an encoder produces: no white space, padding where it belongs, unused bits zero. Throws Error
/// (Misuse::invalid_argument) naming the position of the first mistake.
std::vector<std::byte> base64_decode(std::string_view text);

}  // namespace spdkio
