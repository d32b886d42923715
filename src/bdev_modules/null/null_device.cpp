#include "bdev_modules/null/null_device.hpp"

#include <nlohmann/json.hpp>

#include <string>

#include "bdev_modules/create_delete.hpp"

namespace spdkio::bdev {
namespace {

class NullChannel final : public Channel {
 public:
  void submit(Io& io) noexcept override { io.complete(IoStatus::success()); }
};

Geometry geometry_of(const NullOptions& options) {
  if (options.name.empty()) refuse_option("null", "name", "is empty");
  if (options.block_size == 0 || options.block_size % 512 != 0) {
    refuse_option(options.name, "block_size", "must be a multiple of 512");
  }
  if (options.num_blocks == 0) refuse_option(options.name, "num_blocks", "must not be 0");
  check_metadata_size(options.name, options.metadata_size);
  return {.block_size = options.block_size + options.metadata_size,
          .num_blocks = options.num_blocks,
          .metadata_size = options.metadata_size,
          .metadata_interleaved = options.metadata_size != 0,
          .physical_block_size = options.physical_block_size};
}

}  // namespace

NullDevice::NullDevice(const NullOptions& options)
    : Device(std::string{options.name}, "Null disk", geometry_of(options)) {
  set_uuid(options.uuid);
}

bool NullDevice::supports(IoType type) const noexcept {
  switch (type) {
    case IoType::read:
    case IoType::write:
    case IoType::write_zeroes:
    case IoType::unmap:
    case IoType::flush:
    case IoType::reset:
    case IoType::abort: return true;
    default: return false;
  }
}

std::unique_ptr<Channel> NullDevice::make_channel() { return std::make_unique<NullChannel>(); }

nlohmann::ordered_json NullDevice::config() const {
  return {{"method", "bdev_null_create"},
          {"params",
           {{"name", name()},
            {"num_blocks", geometry().num_blocks},
            {"block_size", geometry().block_size - geometry().metadata_size},
            {"physical_block_size", geometry().physical_block_size},
            {"md_size", geometry().metadata_size},
            {"uuid", uuid().to_string()}}}};
}

}  // namespace spdkio::bdev
