// What a JSON-RPC method answers when it does not succeed.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/rpc/json.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace spdkio::rpc {

/// Codes of JSON-RPC 2.0 and SPDK. Every other code is a negative errno, as SPDK answers: -19 for ENODEV.
namespace code {
inline constexpr int parse_error = -32700;
inline constexpr int invalid_request = -32600;
inline constexpr int method_not_found = -32601;
inline constexpr int invalid_params = -32602;
inline constexpr int internal_error = -32603;
inline constexpr int invalid_state = -1;  ///< the method may not run before, or after, framework_start_init
}  // namespace code

/// The error member of a response. Handlers throw it; an spdkio::Error that they let out becomes one by `from`.
/// Copies share their data and never throw.
class RpcError : public std::runtime_error {
 public:
  RpcError(int code, const std::string& message) : std::runtime_error(message), code_(code) {}
  RpcError(int code, const std::string& message, Json data)
      : std::runtime_error(message), code_(code), data_(std::make_shared<const Json>(std::move(data))) {}

  /// `Parse error: <what>`, and so on: the words SPDK answers with come first, so that scripts which look for them
  /// work.
  static RpcError parse_error(std::string_view what);
  static RpcError invalid_request(std::string_view what);
  static RpcError invalid_params(std::string_view what);
  static RpcError internal(std::string_view what);

  /// Code `-errno`, message `error.what()`, and as data what else the error knows: device, nvme_status {sct, sc, text},
  /// hint. An Error that carries nothing but its code gives SPDK's message, `No such device`.
  static RpcError from(const Error& error);
  /// The current exception, whatever it is. Call it inside a catch block.
  static RpcError from_current_exception();
  /// The error member of a response; fails when it is not an object with an integer code and a string message.
  static Result<RpcError> from_json(const Json& error);

  int code() const noexcept { return code_; }
  /// Null when there is none.
  const Json* data() const noexcept { return data_.get(); }
  /// `{"code": ..., "message": ...}`, with `data` when there is any.
  Json to_json() const;
  /// As an Error for code that does not speak RPC: the one that `from` was given, with all it knows; otherwise errno
  /// codes keep their meaning, the others become EPROTO, EINVAL...
  Error to_error() const;

 private:
  int code_;
  std::shared_ptr<const Json> data_;
  std::shared_ptr<const Error> origin_;
};

}  // namespace spdkio::rpc
