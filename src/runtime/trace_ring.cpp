#include <spdkio/runtime/trace_ring.hpp>

#include <algorithm>
#include <bit>

namespace spdkio::detail {

TraceRing::TraceRing(std::uint32_t groups, std::size_t capacity)
    : events_(std::bit_ceil(std::max<std::size_t>(capacity, 2))), mask_(events_.size() - 1), groups_(groups) {}

const std::string* TraceRing::keep(std::string_view name) {
  const auto known = std::ranges::find(names_, name);
  return known != names_.end() ? &*known : &names_.emplace_back(name);
}

}  // namespace spdkio::detail
