#include "app/rpc/methods.hpp"

#include <spdkio/nvmf/rpc.hpp>

#include "app/app_runtime.hpp"
#include "bdev_modules/modules.hpp"
#include "lvol/lvol_stores.hpp"

namespace spdkio::app {

void register_methods(rpc::MethodTable& table, detail::AppRuntime& app) {
  rpc::add_rpc_methods(table, [&app] { return app.state(); });
  register_framework_methods(table, app);
  register_thread_methods(table);
  register_log_methods(table);
  register_config_methods(table);
  register_observe_methods(table, app.observability());
  register_bdev_methods(table, app);

  bdev::register_module_methods(table);
  lvol::register_methods(table, app.lvols());
  nvmf::register_methods(table);
}

}  // namespace spdkio::app
