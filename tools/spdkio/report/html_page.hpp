// The shell of a report: one HTML file with its style and script inside, nothing fetched from anywhere.
#pragma once

#include <string>
#include <string_view>

namespace spdkio::tool {

/// `title` is plain text, `body` is HTML.
std::string html_page(std::string_view title, std::string_view body);

}  // namespace spdkio::tool
