#include <spdkio/bdev_modules/malloc.hpp>

#include <string>
#include <utility>

#include "bdev_modules/malloc/malloc_device.hpp"
#include "bdev_modules/module_methods.hpp"

namespace spdkio::bdev {

Task<Bdev> create_malloc(const MallocOptions& options) { return register_new(std::make_unique<MallocDevice>(options)); }

Task<> delete_malloc(std::string_view name) { return unregister_own<MallocDevice>(std::string{name}); }

namespace {

using rpc::Params;

struct CreateParams {
  std::string name;
  std::uint64_t num_blocks = 0;
  std::uint32_t block_size = 0;
  std::uint32_t physical_block_size = 0;
  Uuid uuid{};
  std::uint32_t optimal_io_boundary = 0;
  std::uint32_t md_size = 0;
  bool md_interleave = false;
  std::uint32_t dif_type = 0;
  bool dif_is_head_of_md = false;
  std::int32_t numa_id = -1;

  void fields(Params& params) {
    params.required("num_blocks", &num_blocks, "Number of blocks");
    params.required("block_size", &block_size, "Bytes of data per block, a multiple of 512");
    params.optional("name", &name, "Name of the new bdev; Malloc<n> without one");
    params.optional("physical_block_size", &physical_block_size, "Physical block size in bytes");
    params.optional("uuid", &uuid, "UUID of the new bdev");
    params.optional("optimal_io_boundary", &optimal_io_boundary, "Blocks after which an I/O is better split");
    params.optional("md_size", &md_size, "Bytes of metadata per block: 0, 8, 16, 32, 64 or 128");
    params.optional("md_interleave", &md_interleave, "Metadata follows the data of each block");
    params.optional("dif_type", &dif_type, "Protection information type: 0 to 3");
    params.check(dif_type <= 3, "dif_type", "must be 0, 1, 2 or 3");
    params.optional("dif_is_head_of_md", &dif_is_head_of_md, "Protection information stands first in the metadata");
    params.optional("numa_id", &numa_id, "NUMA node of the memory; -1: where it is first touched");
  }
};

Task<Json> create(CreateParams params) {
  auto creating = create_malloc({.name = params.name,
                                 .num_blocks = params.num_blocks,
                                 .block_size = params.block_size,
                                 .physical_block_size = params.physical_block_size,
                                 .optimal_io_boundary = params.optimal_io_boundary,
                                 .metadata_size = params.md_size,
                                 .metadata_interleaved = params.md_interleave,
                                 .dif_type = static_cast<DifType>(params.dif_type),
                                 .dif_at_start_of_metadata = params.dif_is_head_of_md,
                                 .numa_node = params.numa_id,
                                 .uuid = params.uuid});
  const Bdev bdev = co_await std::move(creating);
  co_return Json(bdev.name());
}

}  // namespace

void register_malloc_methods(rpc::MethodTable& table) {
  table.add<CreateParams>("bdev_malloc_create", "Make a RAM disk", create);
  table.add<BdevName>("bdev_malloc_delete", "Remove a RAM disk", delete_own<MallocDevice>);
}

}  // namespace spdkio::bdev
