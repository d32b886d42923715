// Bars and sparklines out of characters.
#pragma once

#include "spdkio/terminal/terminal.hpp"

#include <cstddef>
#include <span>
#include <string>

namespace spdkio::tool {

/// A horizontal bar of `fraction` (0 to 1) of `width` columns, in eighths of a column where the terminal can show them.
/// Anything above zero shows at least the thinnest mark. Not padded.
std::string bar(const Terminal& terminal, double fraction, std::size_t width);
/// The same, padded to `width` with a track.
std::string gauge(const Terminal& terminal, double fraction, std::size_t width);
/// One character per value, from 0 to the greatest.
std::string sparkline(const Terminal& terminal, std::span<const double> values);

}  // namespace spdkio::tool
