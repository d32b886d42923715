// The methods that a server answers, registered one by one by whoever composes it.
#pragma once

#include <spdkio/rpc/params.hpp>
#include <spdkio/runtime/task.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace spdkio::rpc {

/// Where an application stands: before or after `framework_start_init`, as in SPDK.
enum class RpcState : std::uint8_t { startup = 1, runtime = 2 };

/// The states in which a method may run.
enum class RpcStates : std::uint8_t { startup = 1, runtime = 2, always = 3 };

constexpr bool allows(RpcStates states, RpcState state) {
  return (static_cast<unsigned>(states) & static_cast<unsigned>(state)) != 0;
}

/// Gives the result of a call, or throws RpcError or Error. `params` is an object or null and lives until the task
/// has ended. A notification runs it too; its result is dropped.
using Handler = std::function<Task<Json>(const Json& params)>;

struct Method {
  std::string name;
  std::string help;  ///< one line
  RpcStates states = RpcStates::runtime;
  std::vector<ParamSpec> params;       ///< for help texts and schemas
  std::vector<std::string> aliases{};  ///< older names, still answered
  Handler handler;
};

/// Filled before a server starts and not changed while one uses it. Reading is safe from any thread.
class MethodTable {
 public:
  MethodTable() = default;
  MethodTable(MethodTable&&) = default;
  MethodTable& operator=(MethodTable&&) = default;

  /// Throws Error (`Misuse::invalid_argument`) when the name or an alias is taken, or the method has no handler.
  Method& add(Method method);

  /// A method whose parameters are a struct that lists its own fields; unknown, missing and mistyped ones never reach
  /// the handler:
  ///
  ///     table.add<MallocCreate>("bdev_malloc_create", "Create a RAM disk", [](MallocCreate p) -> Task<Json> { ... });
  template <ParamStruct P, class F>
    requires std::is_invocable_r_v<Task<Json>, F&, P>
  Method& add(std::string_view name, std::string_view help, F handler, RpcStates states = RpcStates::runtime) {
    return add({.name = std::string(name),
                .help = std::string(help),
                .states = states,
                .params = describe_params<P>(),
                .handler = [name = std::string(name), handler = std::move(handler)](const Json& json) -> Task<Json> {
                  P parsed{};
                  Params params(name, json);
                  parsed.fields(params);
                  params.finish();
                  return handler(std::move(parsed));
                }});
  }
  /// A method without parameters.
  template <class F>
    requires std::is_invocable_r_v<Task<Json>, F&>
  Method& add(std::string_view name, std::string_view help, F handler, RpcStates states = RpcStates::runtime) {
    return add({.name = std::string(name),
                .help = std::string(help),
                .states = states,
                .params = {},
                .handler = [name = std::string(name), handler = std::move(handler)](const Json& json) -> Task<Json> {
                  Params(name, json).finish();
                  return handler();
                }});
  }

  /// By name or alias; null when there is none, or the allow-list does not have it.
  const Method* find(std::string_view name) const;
  /// Like `find`, and throws RpcError: -32601 with the closest name, or -1 when it may not run in this state.
  const Method& require(std::string_view name, RpcState state) const;

  /// Answers these methods only (SPDK's `--rpcs-allowed`). Names that do not exist are refused with an Error.
  void allow_only(const std::vector<std::string>& names);

  /// In alphabetical order; `current` leaves out what may not run in that state.
  std::vector<std::string> names(bool include_aliases = false, std::optional<RpcState> current = std::nullopt) const;
  /// `{"methods": [{"name", "description", "params": [{"name", "type", "required", "default", "description"}]}]}`: the
  /// shape of SPDK's schema with defaults and aliases added.
  Json schema() const;

 private:
  bool allowed(const std::string& name) const { return !allowed_ || allowed_->contains(name); }

  std::map<std::string, std::unique_ptr<Method>, std::less<>> methods_;
  std::map<std::string, std::string, std::less<>> aliases_;
  std::optional<std::set<std::string, std::less<>>> allowed_;
};

/// One method of a schema as text: a line of usage, the help, and a table of the parameters.
std::string describe_method(const Method& method);

/// Adds `rpc_get_methods`, and `rpc_get_schema`, which SPDK does not have: what `schema()` gives. `state` is asked at
/// each call. The table must outlive its own handlers' calls, and stay where it is.
void add_rpc_methods(MethodTable& table, std::function<RpcState()> state);

}  // namespace spdkio::rpc
