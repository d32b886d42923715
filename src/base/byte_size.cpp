#include <spdkio/base/byte_size.hpp>
#include <spdkio/base/error.hpp>

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <span>
#include <system_error>

namespace spdkio {
namespace {

constexpr std::string_view size_letters = "KMGTPE";

[[noreturn]] void fail(std::string_view text, std::string_view why) {
  throw Error(Misuse::invalid_argument, fmt::format("size \"{}\": {}", text, why));
}

// The number in the largest unit that it has at least one of, with three significant digits.
std::string scaled(double value, double step, std::span<const std::string_view> units) {
  if (!(value > 0)) value = 0;
  std::size_t unit = 0;
  const auto digits = [](double v) { return v >= 100 ? 0 : v >= 10 ? 1 : 2; };
  const auto rounded = [&] {
    const double scale = std::pow(10, digits(value));
    return std::round(value * scale) / scale;
  };
  while (unit + 1 < units.size() && rounded() >= step) {
    value /= step;
    ++unit;
  }
  const double shown = rounded();
  const bool whole = shown == std::floor(shown) && (unit == 0 || shown == value);
  const std::string number = fmt::format("{:.{}f}", shown, whole ? 0 : digits(shown));
  return units[unit].empty() ? number : fmt::format("{} {}", number, units[unit]);
}

}  // namespace

ByteCount parse_byte_size(std::string_view text) {
  std::uint64_t number = 0;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [rest, error] = std::from_chars(begin, end, number);
  if (error == std::errc::invalid_argument) fail(text, "a number is expected, as in 4096, 4k or 1MiB");
  if (error == std::errc::result_out_of_range) fail(text, "larger than 2^64 - 1 bytes");

  std::string_view suffix{rest, static_cast<std::size_t>(end - rest)};
  if (suffix.starts_with(' ') && suffix.size() > 1) suffix.remove_prefix(1);
  if (suffix.starts_with('.') || suffix.starts_with(','))
    fail(text, "fractions are not understood; use a smaller unit");
  std::string unit;
  for (const char c : suffix) unit += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (unit.empty() || unit == "B") return ByteCount{number};

  const std::size_t power = size_letters.find(unit.front());
  const std::string_view after = std::string_view{unit}.substr(1);
  if (power != std::string_view::npos && after == "B") {
    fail(text, fmt::format("{0}B may mean powers of 1000 or of 1024; write {0}iB for 1024, or the number of bytes",
                           unit.front()));
  }
  if (power == std::string_view::npos || (!after.empty() && after != "IB")) {
    fail(text, fmt::format("unknown unit \"{}\"; there are k, M, G, T, P, E and KiB, MiB, ...", suffix));
  }
  const unsigned shift = 10 * (static_cast<unsigned>(power) + 1);
  if (number > UINT64_MAX >> shift) fail(text, "larger than 2^64 - 1 bytes");
  return ByteCount{number << shift};
}

std::string format_bytes(ByteCount size) {
  static constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  return scaled(static_cast<double>(size.value), 1024, units);
}

std::string format_rate(double bytes_per_second) {
  static constexpr std::string_view units[] = {"B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s", "PiB/s", "EiB/s"};
  return scaled(bytes_per_second, 1024, units);
}

std::string format_count(double count) {
  static constexpr std::string_view units[] = {"", "k", "M", "G", "T", "P", "E"};
  return scaled(count, 1000, units);
}

}  // namespace spdkio
