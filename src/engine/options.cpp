#include <spdkio/engine/options.hpp>

#include <array>
#include <utility>

namespace spdkio {
namespace {
constexpr std::array<std::pair<PollMode, std::string_view>, 3> poll_modes{
    {{PollMode::busy, "busy"}, {PollMode::adaptive, "adaptive"}, {PollMode::interrupt, "interrupt"}}};
}  // namespace

std::string_view to_string(PollMode mode) noexcept {
  for (const auto& [known, name] : poll_modes) {
    if (known == mode) return name;
  }
  return "unknown";
}

std::optional<PollMode> poll_mode_from(std::string_view text) noexcept {
  for (const auto& [mode, name] : poll_modes) {
    if (name == text) return mode;
  }
  return std::nullopt;
}

}  // namespace spdkio
