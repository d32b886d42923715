// The word that was probably meant.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::tool {

/// The candidate nearest to a misspelt word (insertions, deletions, changes, swapped neighbours), if one is near enough
/// to be worth suggesting.
std::optional<std::string> closest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace spdkio::tool
