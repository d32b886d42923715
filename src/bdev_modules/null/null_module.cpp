#include <spdkio/bdev_modules/null.hpp>

#include <string>
#include <utility>

#include "bdev_modules/module_methods.hpp"
#include "bdev_modules/null/null_device.hpp"

namespace spdkio::bdev {

Task<Bdev> create_null(const NullOptions& options) { return register_new(std::make_unique<NullDevice>(options)); }

Task<> delete_null(std::string_view name) { return unregister_own<NullDevice>(std::string{name}); }

namespace {

using rpc::Params;

struct CreateParams {
  std::string name;
  std::uint64_t num_blocks = 0;
  std::uint32_t block_size = 0;
  std::uint32_t physical_block_size = 0;
  std::uint32_t md_size = 0;
  Uuid uuid{};
  void fields(Params& params) {
    params.required("name", &name, "Name of the new bdev");
    params.required("num_blocks", &num_blocks, "Number of blocks");
    params.required("block_size", &block_size, "Bytes of data per block, a multiple of 512");
    params.optional("physical_block_size", &physical_block_size, "Physical block size in bytes");
    params.optional("md_size", &md_size, "Bytes of interleaved metadata per block");
    params.optional("uuid", &uuid, "UUID of the new bdev");
  }
};

struct ResizeParams {
  std::string name;
  std::uint64_t new_size = 0;
  void fields(Params& params) {
    params.required("name", &name, "Name of the bdev");
    params.required("new_size", &new_size, "New size in MiB");
  }
};

Task<Json> create(CreateParams params) {
  auto creating = create_null({.name = params.name,
                               .num_blocks = params.num_blocks,
                               .block_size = params.block_size,
                               .physical_block_size = params.physical_block_size,
                               .metadata_size = params.md_size,
                               .uuid = params.uuid});
  co_await std::move(creating);
  co_return Json(std::move(params.name));
}

Task<Json> resize(ResizeParams params) {
  const auto state = Service::current().find(params.name);
  if (state == nullptr || dynamic_cast<NullDevice*>(state->device()) == nullptr) {
    throw Error(std::errc::no_such_device, "there is no null bdev of that name").with_device(params.name);
  }
  const std::uint64_t data_size = state->geometry().block_size - state->geometry().metadata_size;
  Service::current().notify_resize(state->name(), BlockCount{(params.new_size << 20) / data_size});
  co_return Json(true);
}

}  // namespace

void register_null_methods(rpc::MethodTable& table) {
  table.add<CreateParams>("bdev_null_create", "Make a device that forgets what is written", create);
  table.add<BdevName>("bdev_null_delete", "Remove a null device", delete_own<NullDevice>);
  table.add<ResizeParams>("bdev_null_resize", "Change the size of a null device", resize);
}

}  // namespace spdkio::bdev
