// log_*. SPDK has a level for what it prints and one for what it logs elsewhere; here both names mean the one level.
#include <spdkio/base/log.hpp>
#include <spdkio/rpc/params.hpp>

#include <array>
#include <span>
#include <string>

#include "app/rpc/methods.hpp"

namespace spdkio::app {

enum class LogLevel : std::uint8_t { disabled, error, warning, notice, info, debug };
std::span<const rpc::EnumName<LogLevel>> rpc_names(LogLevel) {
  static constexpr std::array<rpc::EnumName<LogLevel>, 6> names{{{"ERROR", LogLevel::error},
                                                                 {"WARNING", LogLevel::warning},
                                                                 {"NOTICE", LogLevel::notice},
                                                                 {"INFO", LogLevel::info},
                                                                 {"DEBUG", LogLevel::debug},
                                                                 {"DISABLED", LogLevel::disabled}}};
  return names;
}

namespace {

log::Level to_level(LogLevel level) {
  switch (level) {
    case LogLevel::disabled: return log::Level::off;
    case LogLevel::error: return log::Level::error;
    case LogLevel::warning: return log::Level::warn;
    case LogLevel::notice: return log::Level::info;
    case LogLevel::info: return log::Level::debug;
    case LogLevel::debug: return log::Level::trace;
  }
  return log::Level::info;
}

/// The most verbose of SPDK's levels that shows no more than this one.
LogLevel from_level(log::Level level) {
  switch (level) {
    case log::Level::trace: return LogLevel::debug;
    case log::Level::debug: return LogLevel::info;
    case log::Level::info: return LogLevel::notice;
    case log::Level::warn: return LogLevel::warning;
    case log::Level::error:
    case log::Level::critical: return LogLevel::error;
    case log::Level::off: break;
  }
  return LogLevel::disabled;
}

struct SetLevel {
  LogLevel level = LogLevel::notice;
  void fields(rpc::Params& p) { p.required("level", &level, "Messages below this level are dropped"); }
};

Task<Json> set_level(SetLevel wanted) {
  log::set_level(to_level(wanted.level));
  co_return true;
}

Task<Json> get_level() { co_return rpc::JsonField<LogLevel>::write(from_level(log::level())); }

}  // namespace

void register_log_methods(rpc::MethodTable& table) {
  for (const char* name : {"log_set_level", "log_set_print_level"}) {
    table.add<SetLevel>(name, "Choose what is logged", set_level, rpc::RpcStates::always);
  }
  for (const char* name : {"log_get_level", "log_get_print_level"}) {
    table.add(name, "What is logged", get_level, rpc::RpcStates::always);
  }
}

}  // namespace spdkio::app
