// Every RPC method of an application. The lists are functions, called from one place: a reader sees what there is.
#pragma once

#include <spdkio/rpc/method_table.hpp>

namespace spdkio::detail {
class AppRuntime;
}

namespace spdkio::app {

class Observability;

/// All of them. `table` stays where it is, and both outlive every call.
void register_methods(rpc::MethodTable& table, detail::AppRuntime& app);

void register_framework_methods(rpc::MethodTable& table, detail::AppRuntime& app);
void register_thread_methods(rpc::MethodTable& table);
void register_log_methods(rpc::MethodTable& table);
void register_config_methods(rpc::MethodTable& table);
void register_bdev_methods(rpc::MethodTable& table);
void register_observe_methods(rpc::MethodTable& table, Observability& observability);

}  // namespace spdkio::app
