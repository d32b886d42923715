// The head of an HTTP/1.x request, as far as a server of one page needs it. RFC 9112.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace spdkio::app {

struct HttpRequest {
  std::string method;
  std::string path;  ///< of the target, without the query; always begins with '/'
};

/// Why a request is not answered with what it asks for: the status code of the answer.
enum class HttpRefusal : std::uint16_t {
  bad_request = 400,
  head_too_large = 431,
  version_not_supported = 505,
};

constexpr std::size_t max_http_head_bytes = 8192;

/// Reads the request at the start of `bytes`, which is what a client has sent so far. Nothing: its head has not ended
/// yet. What follows the head is not looked at.
std::expected<std::optional<HttpRequest>, HttpRefusal> read_http_request(std::string_view bytes);

/// An answer that ends its connection. `body` is left out for HEAD, its length is not.
std::string http_response(int status, std::string_view content_type, std::string_view body, bool head_only = false);

}  // namespace spdkio::app
