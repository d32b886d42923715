#include "app/observe/http_request.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace spdkio::app {
namespace {

/// RFC 9110, section 5.6.2.
bool is_token_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) { return !text.empty() && std::ranges::all_of(text, is_token_char); }

/// Takes a line off the front, without its end; a lone LF ends one too.
std::string_view take_line(std::string_view& bytes) {
  const std::size_t end = bytes.find('\n');
  std::string_view line = bytes.substr(0, end);
  bytes.remove_prefix(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool is_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return false;
  return std::ranges::all_of(line.substr(colon + 1), [](char c) {
    return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) != 0x7F);
  });
}

/// The length of the head with the empty line that ends it; nothing while it has none.
std::optional<std::size_t> head_length(std::string_view bytes) {
  for (std::size_t at = bytes.find('\n'); at != std::string_view::npos; at = bytes.find('\n', at + 1)) {
    const std::string_view rest = bytes.substr(at + 1);
    if (rest.starts_with('\n')) return at + 2;
    if (rest.starts_with("\r\n")) return at + 3;
  }
  return std::nullopt;
}

std::string_view reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 505: return "HTTP Version Not Supported";
    default: return "Error";
  }
}

}  // namespace

std::expected<std::optional<HttpRequest>, HttpRefusal> read_http_request(std::string_view bytes) {
  const std::optional<std::size_t> length = head_length(bytes.substr(0, max_http_head_bytes));
  if (!length) {
    if (bytes.size() >= max_http_head_bytes) return std::unexpected(HttpRefusal::head_too_large);
    return std::nullopt;
  }
  std::string_view head = bytes.substr(0, *length);
  const std::string_view line = take_line(head);
  const std::size_t first_space = line.find(' ');
  const std::size_t last_space = line.rfind(' ');
  if (first_space == std::string_view::npos || first_space == last_space) {
    return std::unexpected(HttpRefusal::bad_request);
  }
  const std::string_view method = line.substr(0, first_space);
  std::string_view target = line.substr(first_space + 1, last_space - first_space - 1);
  const std::string_view version = line.substr(last_space + 1);
  const bool visible = std::ranges::all_of(
      target, [](char c) { return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7F; });
  if (!is_token(method) || !target.starts_with('/') || !visible) return std::unexpected(HttpRefusal::bad_request);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return std::unexpected(version.starts_with("HTTP/") ? HttpRefusal::version_not_supported
                                                        : HttpRefusal::bad_request);
  }
  for (std::string_view field = take_line(head); !field.empty(); field = take_line(head)) {
    if (!is_field(field)) return std::unexpected(HttpRefusal::bad_request);
  }
  target = target.substr(0, target.find('?'));
  return HttpRequest{.method = std::string(method), .path = std::string(target)};
}

std::string http_response(int status, std::string_view content_type, std::string_view body, bool head_only) {
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}Cache-Control: no-store\r\nConnection: "
      "close\r\n\r\n{}",
      status, reason(status), content_type, body.size(), status == 405 ? "Allow: GET, HEAD\r\n" : "",
      head_only ? std::string_view{} : body);
}

}  // namespace spdkio::app
