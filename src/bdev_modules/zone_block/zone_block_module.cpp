#include <spdkio/bdev_modules/zone_block.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <bit>
#include <string>
#include <utility>

#include "base/named_uuid.hpp"
#include "bdev_modules/stacked/stacked_device.hpp"
#include "bdev_modules/stacked/stacked_methods.hpp"
#include "bdev_modules/zone_block/zone_block_channel.hpp"
#include "bdev_modules/zone_block/zone_table.hpp"

namespace spdkio::bdev {
namespace {

/// Of the UUIDs that SPDK gives such devices, so that they are the same there.
constexpr std::string_view uuid_space = "5f3f485a-d6bb-4443-9de7-023683b77389";

/// ZoneBlockOptions, and the parameters of the method; the names are SPDK's, which has no limits.
struct CreateParams {
  std::string name;
  std::string base_bdev;
  std::uint64_t zone_capacity = 0;
  std::uint32_t optimal_open_zones = 0;
  std::uint32_t max_open_zones = 0;
  std::uint32_t max_active_zones = 0;
  Uuid uuid{};
  void fields(rpc::Params& params) {
    params.required("name", &name, "Name of the new bdev");
    params.required("base_bdev", &base_bdev, "Name of the bdev below");
    params.required("zone_capacity", &zone_capacity, "Blocks of a zone that can be written");
    params.required("optimal_open_zones", &optimal_open_zones, "How many zones to write at once at full speed");
    params.optional("max_open_zones", &max_open_zones, "How many zones may be open; 0: no limit");
    params.optional("max_active_zones", &max_active_zones, "How many zones may be open or closed; 0: no limit");
    params.optional("uuid", &uuid, "UUID of the new bdev");
  }
};

void check(const CreateParams& params) {
  if (params.name.empty()) refuse_option("zone_block", "name", "is empty");
  if (params.zone_capacity == 0) refuse_option(params.name, "zone_capacity", "must not be 0");
  if (params.optimal_open_zones == 0) refuse_option(params.name, "optimal_open_zones", "must not be 0");
  if (params.max_active_zones != 0 &&
      (params.max_open_zones == 0 ? 1 : params.max_open_zones) > params.max_active_zones) {
    refuse_option(params.name, "max_active_zones", "must not be below max_open_zones: open zones are active");
  }
}

ZoneTable::Layout layout_on(const DeviceState& base, const CreateParams& params) {
  const std::uint64_t blocks = base.num_blocks().value;
  const std::uint64_t size = params.zone_capacity <= blocks ? std::bit_ceil(params.zone_capacity) : UINT64_MAX;
  if (size > blocks) {
    refuse_option(
        params.name, "zone_capacity",
        fmt::format("{} makes zones larger than the {} blocks of '{}'", params.zone_capacity, blocks, base.name()));
  }
  if (params.zone_capacity % base.geometry().write_unit_blocks != 0) {
    refuse_option(params.name, "zone_capacity",
                  fmt::format("must be a multiple of the write unit of '{}', {} blocks", base.name(),
                              base.geometry().write_unit_blocks));
  }
  return {.zone_size = size, .capacity = params.zone_capacity, .zone_count = blocks / size};
}

Geometry zoned_geometry(const DeviceState& base, const ZoneTable::Layout& layout, const CreateParams& params) {
  Geometry geometry = geometry_of(base);
  geometry.num_blocks = layout.zone_size * layout.zone_count;
  geometry.zone_size_blocks = layout.zone_size;
  geometry.max_open_zones = params.max_open_zones;
  geometry.max_active_zones = params.max_active_zones;
  geometry.optimal_open_zones = params.optimal_open_zones;
  return geometry;
}

class ZoneBlockDevice final : public StackedDevice {
 public:
  ZoneBlockDevice(CreateParams params, std::shared_ptr<StackedBase> base, const ZoneTable::Layout& layout)
      : StackedDevice(params.name, "zone_block", zoned_geometry(base->device(), layout, params), base),
        params_(std::move(params)),
        zones_(layout, {.open = params_.max_open_zones, .active = params_.max_active_zones}) {
    set_uuid(params_.uuid.is_nil() ? named_uuid(Uuid::parse(uuid_space), shared_base()->device().uuid().bytes)
                                   : params_.uuid);
  }
  std::unique_ptr<Channel> make_channel() override { return std::make_unique<ZoneBlockChannel>(base(), zones_); }
  bool supports(IoType type) const noexcept override {
    switch (type) {
      case IoType::zone_report: return true;
      case IoType::zone_management:
      case IoType::zone_append: return StackedDevice::supports(IoType::write);
      case IoType::read:
      case IoType::write:
      case IoType::write_zeroes:
      case IoType::flush:
      case IoType::reset:
      case IoType::abort: return StackedDevice::supports(type);
      default: return false;  // would go around the write pointers, or around what reads as zeroes
    }
  }
  Task<> shut_down() override {
    shared_base()->close();
    return StackedDevice::shut_down();
  }
  nlohmann::ordered_json driver_specific() const override { return {{"zoned_block", shown_params()}}; }
  nlohmann::ordered_json config() const override {
    auto params = shown_params();
    // SPDK refuses parameters that it does not have.
    if (params_.max_open_zones != 0) params["max_open_zones"] = params_.max_open_zones;
    if (params_.max_active_zones != 0) params["max_active_zones"] = params_.max_active_zones;
    if (!params_.uuid.is_nil()) params["uuid"] = params_.uuid.to_string();
    return {{"method", "bdev_zone_block_create"}, {"params", std::move(params)}};
  }

 private:
  nlohmann::ordered_json shown_params() const {
    return {{"name", name()},
            {"base_bdev", base().device().name()},
            {"zone_capacity", params_.zone_capacity},
            {"optimal_open_zones", params_.optimal_open_zones}};
  }

  CreateParams params_;
  ZoneTable zones_;
};

Task<Bdev> create(CreateParams params) {
  check(params);
  if (Service::current().find(params.name) != nullptr) {
    throw Error(std::errc::file_exists, "the name is taken").with_operation("create").with_device(params.name);
  }
  auto base = StackedBase::open(params.base_bdev, "zone_block");
  if (base->device().geometry().zone_size_blocks != 0) {
    throw Error(std::errc::file_exists, fmt::format("'{}' has zones already", params.base_bdev))
        .with_operation("create")
        .with_device(params.name);
  }
  const ZoneTable::Layout layout = layout_on(base->device(), params);
  auto device = std::make_unique<ZoneBlockDevice>(std::move(params), base, layout);
  co_return co_await register_stacked(base, std::move(device), false);
}

}  // namespace

Task<Bdev> create_zone_block(const ZoneBlockOptions& options) {
  return create({.name = std::string{options.name},
                 .base_bdev = std::string{options.base},
                 .zone_capacity = options.zone_capacity.value,
                 .optimal_open_zones = options.optimal_open_zones,
                 .max_open_zones = options.max_open_zones,
                 .max_active_zones = options.max_active_zones,
                 .uuid = options.uuid});
}

Task<> delete_zone_block(std::string_view name) { return unregister_own<ZoneBlockDevice>(std::string{name}); }

void register_zone_block_methods(rpc::MethodTable& table) {
  const auto pending = std::make_shared<PendingBases>();
  table.add<CreateParams>(
      "bdev_zone_block_create", "Make a zoned device over another", [=](const CreateParams& params) {
        check(params);
        return create_or_wait(pending, params.name, params.base_bdev, create, params, Json(params.name));
      });
  table.add<BdevName>("bdev_zone_block_delete", "Remove a zone_block device",
                      [=](const BdevName& params) { return delete_or_forget<ZoneBlockDevice>(pending, params); });
}

}  // namespace spdkio::bdev
