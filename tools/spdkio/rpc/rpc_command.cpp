
#include "spdkio/rpc/rpc_command.hpp"

#include "spdkio/cli/help_page.hpp"
#include "spdkio/device/device_spec.hpp"
#include "spdkio/rpc/rpc_call.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <memory>

namespace spdkio::tool {
namespace {

struct RpcOptions {
  std::string method;
  std::vector<std::string> params;
  std::string socket{default_rpc_socket};
  double timeout_s = 60;
  bool list_methods = false;
};

ExitCode run(const RpcOptions& options, Session& session) {
  if (options.method.empty() && !options.list_methods) {
    throw Failure::usage("no method given", "'spdkio rpc --methods' lists those of the server");
  }
  if (!(options.timeout_s > 0) || options.timeout_s > 1e6) throw Failure::usage("--timeout is not a time");
  const Json params = params_from_words(options.params);
  auto client = connect_rpc(options.socket, std::chrono::milliseconds{std::llround(options.timeout_s * 1000)});
  if (!options.list_methods) {
    session.out.line(rpc::dump_json(call_rpc(client, options.method, params), 2));
    return ExitCode::success;
  }
  for (const std::string& name : rpc_methods(client)) {
    if (name.find(options.method) != std::string::npos) session.out.line(printable(name));
  }
  return ExitCode::success;
}

}  // namespace

Json params_from_words(const std::vector<std::string>& words) {
  if (words.empty()) return nullptr;
  if (words.front().starts_with('{') || words.front().starts_with('[')) {
    if (words.size() > 1) throw Failure::usage("parameters are either one JSON value or key=value words, not both");
    auto parsed = rpc::parse_json(words.front());
    if (!parsed) throw Failure::usage(fmt::format("the parameters are not JSON: {}", parsed.error().message()));
    return std::move(*parsed);
  }
  Json params = Json::object();
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Failure::usage(fmt::format("parameter '{}' is not key=value", word),
                           "for example name=Malloc0, or one JSON object");
    }
    const std::string key = word.substr(0, equals);
    if (params.contains(key)) throw Failure::usage(fmt::format("parameter '{}' is given twice", key));
    params[key] = value_from_text(std::string_view{word}.substr(equals + 1));
  }
  return params;
}

Command add_rpc_command(CLI::App& root) {
  CLI::App* app = root.add_subcommand("rpc", "Call a JSON-RPC method of a running program");
  auto options = std::make_shared<RpcOptions>();
  app->add_option("METHOD", options->method, "Method to call; with --methods, a part of the names to list")
      ->type_name("NAME");
  app->add_option("PARAMS", options->params, "Parameters: one JSON object, or key=value words")->type_name("PARAM");
  app->add_option("-s,--socket", options->socket, "Unix socket of the server, or 127.0.0.1:port")
      ->type_name("FILE")
      ->envname("SPDKIO_RPC_SOCKET")
      ->capture_default_str();
  app->add_option("-t,--timeout", options->timeout_s, "Seconds to wait for the answer")
      ->type_name("S")
      ->capture_default_str();
  app->add_flag("--methods", options->list_methods, "List the methods of the server");
  add_help_sections(*app,
                    {{"What can be called", "spdkio rpc --methods"},
                     {"What there is", "spdkio rpc bdev_get_bdevs"},
                     {"Parameters as words; what reads as JSON is a number, true, a list, ...",
                      "spdkio rpc bdev_malloc_create name=Malloc0 num_blocks=131072 block_size=512"},
                     {"Parameters as JSON", "spdkio rpc bdev_get_iostat '{\"name\": \"Malloc0\"}' | jq ."}},
                    {{"Servers", "Any program that speaks SPDK's JSON-RPC 2.0 on a Unix socket: ours and SPDK's own."},
                     {"Exit status",
                      "0  the method succeeded; its result is on standard output as JSON\n"
                      "1  the server cannot be reached or answered with an error\n"
                      "2  the command line cannot be right"}});
  return {app, [options](Session& session) { return run(*options, session); }};
}

}  // namespace spdkio::tool
