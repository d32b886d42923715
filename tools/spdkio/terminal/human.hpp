// Times as people read them. Sizes, rates and counts are in <spdkio/base/byte_size.hpp>.
#pragma once

#include <string>

namespace spdkio::tool {

/// Three significant digits: `850 ns`, `12.3 us`, `1.20 ms`, `2.50 s`.
std::string human_latency(double latency_ns);
/// A time to wait or that has passed: `0:07`, `12:34`, `1:02:03`.
std::string human_clock(double seconds);

}  // namespace spdkio::tool
