// From a JSON-RPC 2.0 message to its answer.
#pragma once

#include <spdkio/rpc/method_table.hpp>
#include <spdkio/runtime/task.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace spdkio::rpc {

/// A request taken apart and checked.
struct Request {
  std::string method;
  Json params;               ///< object or array as given; null: none
  std::optional<Json> id{};  ///< string, number or null; absent in a notification
};

/// Takes a request apart as SPDK does: "jsonrpc" may be missing but must be "2.0", "params" null counts as missing,
/// other members are refused. Throws RpcError -32600 which says what is wrong.
Request parse_request(const Json& message);

/// `{"jsonrpc": "2.0", "id": ..., "result": ...}`
Json make_response(const Json& id, Json result);
Json make_error_response(const Json& id, const RpcError& error);

/// Answers messages from a method table. Used on one Thread; the table must outlive it.
class Dispatcher {
 public:
  explicit Dispatcher(const MethodTable& table, RpcState state = RpcState::runtime) : table_(&table), state_(state) {}

  RpcState state() const { return state_; }
  void set_state(RpcState state) { state_ = state; }
  const MethodTable& methods() const { return *table_; }

  /// The answer to one message: a request object, or a batch, whose requests run one after the other. Nothing when no
  /// answer is due: a notification, or a batch of them. Never throws for what the message holds or what a handler does.
  Task<std::optional<Json>> handle(Json message);

  /// Runs one method as a request from inside the process, for configuration files. Throws RpcError.
  Task<Json> call(std::string method, Json params);

 private:
  Task<std::optional<Json>> handle_one(const Json& message);

  const MethodTable* table_;
  RpcState state_;
};

}  // namespace spdkio::rpc
