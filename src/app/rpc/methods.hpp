// Every RPC method of an application. The lists are functions, called from one place: a reader sees what there is.
#pragma once

#include <spdkio/engine/engine.hpp>
#include <spdkio/rpc/method_table.hpp>

namespace spdkio::detail {
class AppRuntime;
}

namespace spdkio::app {

class Observability;

/// All of them. `table` stays where it is, and both outlive every call.
void register_methods(rpc::MethodTable& table, detail::AppRuntime& app);

/// Those that the running engine brings along. They take the place of the library's for devices and targets; what is
/// about this process (framework, threads, logs, save_config) stays the library's.
void register_engine_methods(rpc::MethodTable& table, engine::MethodService& engine);

void register_framework_methods(rpc::MethodTable& table, detail::AppRuntime& app);
void register_thread_methods(rpc::MethodTable& table);
void register_log_methods(rpc::MethodTable& table);
void register_config_methods(rpc::MethodTable& table);
void register_observe_methods(rpc::MethodTable& table, Observability& observability);
void register_bdev_methods(rpc::MethodTable& table, detail::AppRuntime& app);

}  // namespace spdkio::app
