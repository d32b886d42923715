#include "app/rpc/methods.hpp"

#include <spdkio/bdev_modules/delay.hpp>
#include <spdkio/bdev_modules/error.hpp>
#include <spdkio/bdev_modules/file.hpp>
#include <spdkio/bdev_modules/malloc.hpp>
#include <spdkio/bdev_modules/null.hpp>
#include <spdkio/bdev_modules/passthru.hpp>
#include <spdkio/bdev_modules/split.hpp>
#include <spdkio/nvmf/rpc.hpp>

#include "app/app_runtime.hpp"

namespace spdkio::app {

void register_methods(rpc::MethodTable& table, detail::AppRuntime& app) {
  rpc::add_rpc_methods(table, [&app] { return app.state(); });
  register_framework_methods(table, app);
  register_thread_methods(table);
  register_log_methods(table);
  register_config_methods(table);
  register_bdev_methods(table);

  bdev::register_malloc_methods(table);
  bdev::register_null_methods(table);
  bdev::register_file_methods(table);
  bdev::register_error_methods(table);
  bdev::register_delay_methods(table);
  bdev::register_passthru_methods(table);
  bdev::register_split_methods(table);

  nvmf::register_methods(table);
}

}  // namespace spdkio::app
