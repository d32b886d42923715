#include <spdkio/rpc/dispatcher.hpp>

#include "rpc/text.hpp"

#include <spdkio/runtime/sleep.hpp>

#include <fmt/format.h>

#include <array>

namespace spdkio::rpc {
namespace {

bool is_valid_id(const Json& id) { return id.is_string() || id.is_number() || id.is_null(); }

// The id to answer a request with that is not a valid one: its own if it can be told.
Json id_of(const Json& message) {
  if (!message.is_object()) return nullptr;
  const auto id = message.find("id");
  return id != message.end() && is_valid_id(*id) ? *id : Json(nullptr);
}

}  // namespace

Request parse_request(const Json& message) {
  if (!message.is_object()) throw RpcError::invalid_request("a request is an object");
  constexpr std::array<std::string_view, 4> members{"jsonrpc", "method", "params", "id"};
  Request request;
  bool has_method = false;
  for (const auto& [name, value] : message.items()) {
    if (name == "jsonrpc") {
      if (value != "2.0") throw RpcError::invalid_request("\"jsonrpc\" must be \"2.0\"");
    } else if (name == "method") {
      if (!value.is_string()) throw RpcError::invalid_request("\"method\" must be a string");
      request.method = value.get<std::string>();
      has_method = true;
    } else if (name == "params") {
      if (!value.is_object() && !value.is_array() && !value.is_null()) {
        throw RpcError::invalid_request("\"params\" must be an object or an array");
      }
      request.params = value;
    } else if (name == "id") {
      if (!is_valid_id(value)) throw RpcError::invalid_request("\"id\" must be a string, a number or null");
      request.id = value;
    } else {
      const std::vector<std::string_view> known(members.begin(), members.end());
      throw RpcError::invalid_request(fmt::format("unknown member {}{}", in_quotes(name), did_you_mean(name, known)));
    }
  }
  if (!has_method) throw RpcError::invalid_request("\"method\" is missing");
  return request;
}

Json make_response(const Json& id, Json result) {
  Json out = {{"jsonrpc", "2.0"}, {"id", id}};
  out["result"] = std::move(result);
  return out;
}

Json make_error_response(const Json& id, const RpcError& error) {
  Json out = {{"jsonrpc", "2.0"}, {"id", id}};
  out["error"] = error.to_json();
  return out;
}

Task<Json> Dispatcher::call(std::string method, Json params) {
  const Method& found = table_->require(method, state_);
  std::optional<RpcError> failure;
  try {
    co_return co_await found.handler(params);
  } catch (...) {
    failure = RpcError::from_current_exception();
  }
  throw RpcError(*failure);
}

Task<std::optional<Json>> Dispatcher::handle_one(const Json& message) {
  std::optional<Request> request;
  std::optional<Json> answer;
  try {
    request = parse_request(message);
  } catch (const RpcError& error) {
    answer = make_error_response(id_of(message), error);
  }
  if (!request) co_return answer;
  try {
    Json result = co_await call(std::move(request->method), std::move(request->params));
    if (request->id) answer = make_response(*request->id, std::move(result));
  } catch (const RpcError& error) {
    if (request->id) answer = make_error_response(*request->id, error);
  }
  co_return answer;
}

Task<std::optional<Json>> Dispatcher::handle(Json message) {
  if (!message.is_array()) co_return co_await handle_one(message);
  if (message.empty()) {
    co_return make_error_response(nullptr, RpcError::invalid_request("a batch must hold a request"));
  }
  Json answers = Json::array();
  for (const Json& one : message) {
    std::optional<Json> answer = co_await handle_one(one);
    if (answer) answers.push_back(std::move(*answer));
    co_await yield();
  }
  if (answers.empty()) co_return std::nullopt;
  co_return answers;
}

}  // namespace spdkio::rpc
