// Words of messages: names from strangers made safe to show, and guesses at what was meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace spdkio::rpc {

/// `text` in double quotes, control characters and bytes that are not UTF-8 escaped, shortened when long.
std::string in_quotes(std::string_view text);

/// The candidate that `name` was most likely meant to be; empty when none is close.
std::string closest_name(std::string_view name, const std::vector<std::string_view>& candidates);

/// `, did you mean "x"?`, or nothing.
std::string did_you_mean(std::string_view name, const std::vector<std::string_view>& candidates);

/// Length of the UTF-8 character that `text` starts with; 0 when it is not valid UTF-8.
std::size_t utf8_length(std::string_view text);

}  // namespace spdkio::rpc
