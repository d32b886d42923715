// The head of an HTTP request as a metrics server reads it: no prefix may be judged otherwise than the whole allows,
// and what is accepted is a method and a path without anything that could leave its place.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "app/observe/http_request.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace spdkio::app;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = read_http_request(bytes);
  if (whole && *whole) {
    const HttpRequest& request = **whole;
    if (request.method.empty() || !request.path.starts_with('/')) std::abort();
    for (const char c : request.path) {
      if (c <= ' ' || c == '?' || c == 0x7F) std::abort();
    }
  }
  if (whole && !*whole && size >= max_http_head_bytes) std::abort();
  // A client whose bytes come in two pieces is answered the same: a prefix decides nothing or the same thing.
  if (size > 1) {
    const auto half = read_http_request(bytes.substr(0, size / 2));
    const bool decided = !half || half->has_value();
    if (decided) {
      if (half.has_value() != whole.has_value()) std::abort();
      if (!half && half.error() != whole.error()) std::abort();
      if (half && ((*half)->path != (*whole)->path || (*half)->method != (*whole)->method)) std::abort();
    }
  }
  return 0;
}
