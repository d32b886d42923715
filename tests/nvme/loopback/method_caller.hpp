// MethodCaller: RPC methods called without a socket.
#pragma once

#include <spdkio/rpc/json.hpp>
#include <spdkio/rpc/method_table.hpp>
#include <spdkio/runtime/task.hpp>

#include <string>
#include <utility>

namespace spdkio::loopback {

/// Must stay until what it called has ended.
class MethodCaller {
 public:
  explicit MethodCaller(const rpc::MethodTable& table) : table_(table) {}
  Task<Json> operator()(std::string name, Json params) const {
    auto handling = table_.require(name, rpc::RpcState::runtime).handler(params);
    co_return co_await std::move(handling);
  }

 private:
  const rpc::MethodTable& table_;
};

}  // namespace spdkio::loopback
