// JSON values out of a stream of bytes, as JSON-RPC over a socket needs it.
#pragma once

#include <spdkio/rpc/json.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace spdkio::rpc {

/// Cuts a stream into its top-level JSON values, which may follow each other with or without white space. Bytes are
/// parsed as they arrive, once, so that garbage is found at its first byte and a slow sender costs nothing twice.
/// Memory is bounded by the limits and the largest `push`. Not thread safe.
class JsonFramer {
 public:
  explicit JsonFramer(const JsonLimits& limits = request_limits);
  ~JsonFramer();
  JsonFramer(JsonFramer&&) noexcept;
  JsonFramer& operator=(JsonFramer&&) noexcept;

  /// Adds what came from the stream. Call `next` until it gives nothing before pushing more.
  void push(std::string_view bytes);

  /// The next complete value; nothing when more bytes are needed; an Error when the stream is not JSON or exceeds a
  /// limit. There is no safe place to go on after an error, so it is given again on every later call.
  Result<std::optional<Json>> next();

  /// True inside a value: the end of the stream would cut it short.
  bool in_value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace spdkio::rpc
