// Sizes, rates and counts as people write and read them.
#pragma once

#include <spdkio/base/units.hpp>

#include <string>
#include <string_view>

namespace spdkio {

/// Reads `512`, `512B`, `4k`, `4K`, `4KiB`, and so on with M, G, T, P and E; all are powers of 1024. Case does not
/// matter; a blank may stand before the unit. Throws Error (Misuse::invalid_argument) naming the text for anything
/// else: fractions, signs, sizes of 2^64 and more, and `KB`, `MB`, ..., which some read as powers of 1000.
ByteCount parse_byte_size(std::string_view text);

/// `512 B`, `4 KiB`, `1.21 GiB`: three digits, fractions only where the size is no whole number of the unit.
std::string format_bytes(ByteCount size);

/// `1.21 GiB/s`. Negative rates and NaN read as 0.
std::string format_rate(double bytes_per_second);

/// `999`, `1.31 M`, `250 k`: three digits in powers of 1000. Negative counts and NaN read as 0.
std::string format_count(double count);

}  // namespace spdkio
