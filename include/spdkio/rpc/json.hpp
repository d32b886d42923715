// The JSON value of the library, and the one strict way to read it.
#pragma once

#include <spdkio/base/error.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace spdkio {

/// A JSON value whose objects keep the order of their members.
using Json = nlohmann::ordered_json;

}  // namespace spdkio

namespace spdkio::rpc {

/// What a text may cost its reader. A text beyond a limit is refused with a message that names the limit.
struct JsonLimits {
  std::size_t max_depth = 64;         ///< arrays and objects inside each other; SPDK's number
  std::size_t max_bytes = 16u << 20;  ///< of one value
  std::size_t max_values = 1u << 20;  ///< values of one text: numbers, strings, arrays, objects, ...
};

/// Limits of one JSON-RPC request, much tighter than those of a configuration file.
inline constexpr JsonLimits request_limits{.max_depth = 64, .max_bytes = 1u << 20, .max_values = 1u << 16};

/// Whether `//` and `/* */` count as white space, as they do in SPDK's configuration files and nowhere else.
enum class JsonComments : bool { refused, allowed };

/// Reads the one JSON value (RFC 8259) that `text` holds. Refused: members of the same name in one object, invalid
/// UTF-8, NaN and infinities, numbers that no double can hold, anything after the value, and what exceeds `limits`.
/// The error is `Misuse::invalid_argument`; its message starts with `line:column: ` (both from 1, columns in
/// characters) and says where in the value that is. Uses no recursion.
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {},
                        JsonComments comments = JsonComments::refused);

/// Reads the file at `path`. Its name stands before the position in error messages: `app.json:3:7: ...`. Blocks.
Result<Json> load_json_file(const std::string& path, JsonComments comments = JsonComments::allowed,
                            const JsonLimits& limits = {});

/// `value` as text: in one line, or over several when `indent` is not negative. Strings that are not UTF-8 come out
/// with U+FFFD for what is wrong, so that this never throws for its content.
std::string dump_json(const Json& value, int indent = -1);

}  // namespace spdkio::rpc
