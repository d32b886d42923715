#include "bdev_modules/modules.hpp"

#include <spdkio/bdev_modules/delay.hpp>
#include <spdkio/bdev_modules/error.hpp>
#include <spdkio/bdev_modules/file.hpp>
#include <spdkio/bdev_modules/malloc.hpp>
#include <spdkio/bdev_modules/null.hpp>
#include <spdkio/bdev_modules/nvme.hpp>
#include <spdkio/bdev_modules/passthru.hpp>
#include <spdkio/bdev_modules/split.hpp>
#include <spdkio/bdev_modules/zone_block.hpp>

namespace spdkio::bdev {

void register_module_methods(rpc::MethodTable& table) {
  register_malloc_methods(table);
  register_null_methods(table);
  register_file_methods(table);
  register_nvme_methods(table);
  register_passthru_methods(table);
  register_split_methods(table);
  register_delay_methods(table);
  register_error_methods(table);
  register_zone_block_methods(table);
}

}  // namespace spdkio::bdev
