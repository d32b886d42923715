#include <spdkio/rpc/method_table.hpp>

#include "rpc/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace spdkio::rpc {
namespace {

Error misuse(std::string text) { return Error(Misuse::invalid_argument, std::move(text)).with_operation("rpc"); }

Json schema_of(const std::vector<ParamSpec>& specs) {
  Json out = Json::array();
  for (const ParamSpec& spec : specs) {
    Json param = {{"name", spec.name}, {"type", spec.type}};
    if (spec.required) param["required"] = true;
    if (!spec.default_value.is_null()) param["default"] = spec.default_value;
    param["description"] = spec.help;
    if (!spec.members.empty()) param["fields"] = schema_of(spec.members);
    out.push_back(std::move(param));
  }
  return out;
}

void describe_into(std::string& out, const std::vector<ParamSpec>& specs, std::size_t indent) {
  std::size_t name_width = 0;
  std::size_t type_width = 0;
  for (const ParamSpec& spec : specs) {
    name_width = std::max(name_width, spec.name.size());
    type_width = std::max(type_width, spec.type.size());
  }
  for (const ParamSpec& spec : specs) {
    out += fmt::format("{:{}}{:{}}  {:{}}  {}", "", indent, spec.name, name_width, spec.type, type_width, spec.help);
    if (spec.required) {
      out += " (required)";
    } else if (!spec.default_value.is_null()) {
      out += fmt::format(" (default {})", dump_json(spec.default_value));
    }
    out += '\n';
    describe_into(out, spec.members, indent + 2);
  }
}

struct GetMethods {
  bool current = false;
  bool include_aliases = false;
  void fields(Params& p) {
    p.optional("current", &current, "Only methods that may be called in the current state");
    p.optional("include_aliases", &include_aliases, "Older names of methods too");
  }
};

Task<Json> get_methods(const MethodTable& table, RpcState state, GetMethods wanted) {
  Json out = table.names(wanted.include_aliases, wanted.current ? std::optional(state) : std::nullopt);
  co_return out;
}

Task<Json> get_schema(const MethodTable& table) { co_return table.schema(); }

}  // namespace

Method& MethodTable::add(Method method) {
  const auto taken = [this](const std::string& name) { return methods_.contains(name) || aliases_.contains(name); };
  if (method.name.empty() || !method.handler)
    throw misuse(fmt::format("method {} has no name or no handler", in_quotes(method.name)));
  if (taken(method.name)) throw misuse(fmt::format("method {} is registered already", in_quotes(method.name)));
  for (const std::string& alias : method.aliases) {
    if (taken(alias) || alias == method.name || std::ranges::count(method.aliases, alias) != 1) {
      throw misuse(fmt::format("alias {} of method {} is taken", in_quotes(alias), in_quotes(method.name)));
    }
  }
  for (const std::string& alias : method.aliases) aliases_.emplace(alias, method.name);
  auto& slot = methods_[method.name];
  slot = std::make_unique<Method>(std::move(method));
  return *slot;
}

const Method* MethodTable::find(std::string_view name) const {
  const auto alias = aliases_.find(name);
  if (!allowed(std::string(name))) return nullptr;
  const auto method = methods_.find(alias == aliases_.end() ? name : std::string_view(alias->second));
  return method == methods_.end() ? nullptr : method->second.get();
}

const Method& MethodTable::require(std::string_view name, RpcState state) const {
  const Method* method = find(name);
  if (method == nullptr) {
    const auto known = names();
    const std::vector<std::string_view> candidates(known.begin(), known.end());
    throw RpcError(code::method_not_found,
                   fmt::format("Method not found: {}{}", in_quotes(name), did_you_mean(name, candidates)));
  }
  if (allows(method->states, state)) return *method;
  if (state == RpcState::startup) {
    throw RpcError(code::invalid_state,
                   fmt::format("{} may only be called after initialization: call framework_start_init first", name));
  }
  throw RpcError(
      code::invalid_state,
      fmt::format("{} may only be called before initialization: start with --wait-for-rpc and call it before "
                  "framework_start_init",
                  name));
}

void MethodTable::allow_only(const std::vector<std::string>& names) {
  std::set<std::string, std::less<>> allowed;
  const auto known = this->names(true);
  const std::vector<std::string_view> candidates(known.begin(), known.end());
  for (const std::string& name : names) {
    if (!methods_.contains(name) && !aliases_.contains(name)) {
      throw misuse(fmt::format("no method {} to allow{}", in_quotes(name), did_you_mean(name, candidates)));
    }
    allowed.insert(name);
  }
  allowed_ = std::move(allowed);
}

std::vector<std::string> MethodTable::names(bool include_aliases, std::optional<RpcState> current) const {
  std::vector<std::string> out;
  const auto wanted = [&](const std::string& name, const Method& method) {
    return allowed(name) && (!current || allows(method.states, *current));
  };
  for (const auto& [name, method] : methods_) {
    if (wanted(name, *method)) out.push_back(name);
  }
  if (include_aliases) {
    for (const auto& [alias, name] : aliases_) {
      if (wanted(alias, *methods_.at(name))) out.push_back(alias);
    }
    std::ranges::sort(out);
  }
  return out;
}

Json MethodTable::schema() const {
  Json methods = Json::array();
  for (const auto& [name, method] : methods_) {
    if (!allowed(name)) continue;
    Json entry = {{"name", name}, {"description", method->help}};
    if (!method->aliases.empty()) entry["aliases"] = method->aliases;
    entry["params"] = schema_of(method->params);
    methods.push_back(std::move(entry));
  }
  Json out = Json::object();
  out["methods"] = std::move(methods);
  return out;
}

std::string describe_method(const Method& method) {
  std::string out = method.name + '\n';
  if (!method.help.empty()) out += fmt::format("  {}\n", method.help);
  if (!method.aliases.empty()) out += fmt::format("  Also called {}\n", fmt::join(method.aliases, ", "));
  if (method.states == RpcStates::startup) out += "  Only before framework_start_init\n";
  if (!method.params.empty()) {
    out += "  Parameters:\n";
    describe_into(out, method.params, 4);
  }
  return out;
}

void add_rpc_methods(MethodTable& table, std::function<RpcState()> state) {
  table.add<GetMethods>(
      "rpc_get_methods", "List the methods",
      [&table, state = std::move(state)](GetMethods wanted) { return get_methods(table, state(), wanted); },
      RpcStates::always);
  table.add(
      "rpc_get_schema", "Describe the methods and their parameters", [&table] { return get_schema(table); },
      RpcStates::always);
}

}  // namespace spdkio::rpc
