
#include "spdkio/rpc/rpc_call.hpp"

#include "spdkio/cli/closest.hpp"
#include "spdkio/cli/failure.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/rpc/error.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace spdkio::tool {
namespace {

std::string hint_of(rpc::Client& client, std::string_view method, const rpc::RpcError& error) {
  if (error.code() == rpc::code::method_not_found && method != "rpc_get_methods") {
    const auto meant = closest(method, rpc_methods(client));
    return meant ? fmt::format("did you mean {}?", *meant) : "'spdkio rpc --methods' lists what there is";
  }
  const Json* data = error.data();
  if (data != nullptr && data->is_object() && data->contains("hint") && (*data)["hint"].is_string()) {
    return (*data)["hint"].get<std::string>();
  }
  return {};
}

}  // namespace

rpc::Client connect_rpc(const std::string& address, std::chrono::milliseconds timeout) {
  auto client = rpc::Client::connect(address, {.connect_timeout = timeout, .call_timeout = timeout});
  if (!client) throw client.error();
  return std::move(*client);
}

Json call_rpc(rpc::Client& client, std::string_view method, const Json& params) {
  auto response = client.request(method, params);
  if (!response) throw response.error();
  if (response->contains("result")) return std::move((*response)["result"]);
  const auto error = rpc::RpcError::from_json((*response)["error"]);
  if (!error) throw error.error();
  throw Failure{fmt::format("{}: {} (code {})", method, error->what(), error->code()), hint_of(client, method, *error)};
}

std::vector<std::string> rpc_methods(rpc::Client& client) {
  const Json list = call_rpc(client, "rpc_get_methods");
  std::vector<std::string> names;
  if (list.is_array()) {
    for (const Json& name : list) {
      if (name.is_string()) names.push_back(name.get<std::string>());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace spdkio::tool
