#include <spdkio/rpc/json.hpp>

#include "rpc/json_reader.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <memory>

namespace spdkio::rpc {

Result<Json> parse_json(std::string_view text, const JsonLimits& limits, JsonComments comments) {
  JsonReader reader(limits, comments);
  std::size_t taken = reader.feed(text);
  if (!reader.complete()) reader.end();
  if (reader.failed()) return std::unexpected(Error(Misuse::invalid_argument, reader.error()));
  Json value = reader.take();
  reader.expect_nothing_more(text.substr(taken));
  if (reader.failed()) return std::unexpected(Error(Misuse::invalid_argument, reader.error()));
  return value;
}

Result<Json> load_json_file(const std::string& path, JsonComments comments, const JsonLimits& limits) {
  const auto failed = [&] { return std::unexpected(Error::from_errno(errno, fmt::format("cannot read {}", path))); };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
  if (!file) return failed();
  std::string text;
  char chunk[65536];
  while (const std::size_t length = std::fread(chunk, 1, sizeof chunk, file.get())) {
    // Comments and white space around the value don't count, but a file is not read without end for them.
    if (text.size() > 2 * limits.max_bytes) {
      return std::unexpected(Error(Misuse::invalid_argument,
                                   fmt::format("{}: a value may have {} bytes, not more", path, limits.max_bytes)));
    }
    text.append(chunk, length);
  }
  if (std::ferror(file.get()) != 0) return failed();
  auto value = parse_json(text, limits, comments);
  if (!value)
    return std::unexpected(Error(Misuse::invalid_argument, fmt::format("{}:{}", path, value.error().message())));
  return value;
}

std::string dump_json(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace spdkio::rpc
