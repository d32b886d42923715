#include <spdkio/bdev_modules/file.hpp>
#include <spdkio/rpc/error.hpp>

#include <string>
#include <utility>

#include "bdev_modules/file/file_module.hpp"
#include "bdev_modules/file/option_names.hpp"
#include "bdev_modules/module_methods.hpp"

namespace spdkio::bdev {
namespace {

using rpc::Params;

/// What both methods take, and what SPDK's `bdev_uring_create` does not know but can be said here too.
struct CreateParams {
  std::string name;
  std::string filename;
  std::uint32_t block_size = 0;
  bool readonly = false;
  bool fallocate = true;
  bool nowait = false;
  Uuid uuid{};
  DirectIo direct = DirectIo::automatic;
  FileBackend backend = FileBackend::automatic;
  bool round_down = false;
  bool rest_expected = false;

  void fields(Params& params) {
    params.required("name", &name, "Name of the new bdev");
    params.required("filename", &filename, "Path of a regular file or block device");
    params.optional("block_size", &block_size, "Block size in bytes; 0: detect it");
    params.optional("readonly", &readonly, "Open the file for reading only");
    params.optional("fallocate", &fallocate, "Offer unmap and write_zeroes");
    params.optional("uuid", &uuid, "UUID of the new bdev");
    params.optional("direct", &direct, "Go past the page cache");
    params.optional("backend", &backend, "How requests reach the kernel");
    params.optional("round_down", &round_down, "Leave out what stands behind the last whole block");
    params.optional("rest_expected", &rest_expected, "Do not warn of what round_down leaves out");
  }
  FileOptions options(FileStyle style) const {
    return {.name = name,
            .filename = filename,
            .block_size = block_size,
            .read_only = readonly,
            .direct = direct,
            .backend = backend,
            .style = style,
            .fallocate = fallocate,
            .round_down = round_down,
            .rest_expected = rest_expected,
            .nowait = nowait,
            .uuid = uuid};
  }
};

struct AioCreateParams : CreateParams {
  void fields(Params& params) {
    CreateParams::fields(params);
    params.optional("nowait", &nowait, "Accept block devices only, as SPDK does for RWF_NOWAIT");
  }
};

Task<Json> create_aio(AioCreateParams params) {
  auto creating = create_file(params.options(FileStyle::aio));
  co_await std::move(creating);
  co_return Json(std::move(params.name));
}

/// SPDK answers every failure of this method with one code and one text; the reason follows it here.
Task<Json> create_uring(CreateParams params) {
  std::string reason;
  try {
    auto creating = create_file(params.options(FileStyle::uring));
    co_await std::move(creating);
  } catch (const Error& error) {
    reason = error.what();
  }
  if (!reason.empty()) throw rpc::RpcError(rpc::code::internal_error, "Unable to create URING bdev. " + reason);
  co_return Json(std::move(params.name));
}

template <FileStyle style>
Task<Json> remove_named(BdevName params) {
  auto removing = file::remove(std::move(params.name), style);
  co_await std::move(removing);
  co_return Json(true);
}

template <FileStyle style>
Task<Json> rescan_named(BdevName params) {
  auto looking = file::rescan(std::move(params.name), style);
  co_await std::move(looking);
  co_return Json(true);
}

}  // namespace

void register_file_methods(rpc::MethodTable& table) {
  table.add<AioCreateParams>("bdev_aio_create", "Create a bdev over a file or block device", create_aio);
  table.add<BdevName>("bdev_aio_delete", "Remove a bdev that bdev_aio_create made", remove_named<FileStyle::aio>);
  table.add<BdevName>("bdev_aio_rescan", "Look at the size of the file again", rescan_named<FileStyle::aio>);
  table.add<CreateParams>("bdev_uring_create", "Create a bdev over a file or block device", create_uring);
  table.add<BdevName>("bdev_uring_delete", "Remove a bdev that bdev_uring_create made", remove_named<FileStyle::uring>);
  table.add<BdevName>("bdev_uring_rescan", "Look at the size of the file again", rescan_named<FileStyle::uring>);
}

}  // namespace spdkio::bdev
