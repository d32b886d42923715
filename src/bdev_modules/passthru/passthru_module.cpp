#include <spdkio/bdev_modules/passthru.hpp>

#include <nlohmann/json.hpp>

#include <string>
#include <utility>

#include "bdev_modules/stacked/stacked_device.hpp"
#include "bdev_modules/stacked/stacked_methods.hpp"

namespace spdkio::bdev {
namespace {

class PassthruDevice final : public StackedDevice {
 public:
  PassthruDevice(std::string name, std::shared_ptr<StackedBase> base, const Uuid& uuid)
      : StackedDevice(std::move(name), "passthru", geometry_of(base->device()), base) {
    set_uuid(uuid);
  }
  std::unique_ptr<Channel> make_channel() override { return std::make_unique<StackedChannel>(base()); }
  Task<> shut_down() override {
    shared_base()->close();
    return StackedDevice::shut_down();
  }
  nlohmann::ordered_json driver_specific() const override {
    return {{"passthru", {{"name", name()}, {"base_bdev_name", base().device().name()}}}};
  }
  nlohmann::ordered_json config() const override {
    return {{"method", "bdev_passthru_create"},
            {"params", {{"base_bdev_name", base().device().name()}, {"name", name()}, {"uuid", uuid().to_string()}}}};
  }
};

struct CreateParams {
  std::string base_bdev_name;
  std::string name;
  Uuid uuid{};
  void fields(rpc::Params& params) {
    params.required("base_bdev_name", &base_bdev_name, "Name of the bdev below");
    params.required("name", &name, "Name of the new bdev");
    params.optional("uuid", &uuid, "UUID of the new bdev");
  }
};

Task<Bdev> create(CreateParams params) {
  if (params.name.empty()) refuse_option("passthru", "name", "is empty");
  auto base = StackedBase::open(params.base_bdev_name, "passthru");
  auto device = std::make_unique<PassthruDevice>(std::move(params.name), base, params.uuid);
  co_return co_await register_stacked(base, std::move(device), true);
}

}  // namespace

Task<Bdev> create_passthru(const PassthruOptions& options) {
  return create({.base_bdev_name = std::string{options.base}, .name = std::string{options.name}, .uuid = options.uuid});
}

Task<> delete_passthru(std::string_view name) { return unregister_own<PassthruDevice>(std::string{name}); }

void register_passthru_methods(rpc::MethodTable& table) {
  const auto pending = std::make_shared<PendingBases>();
  table.add<CreateParams>(
      "bdev_passthru_create", "Make a device that hands every request to another", [=](const CreateParams& params) {
        return create_or_wait(pending, params.name, params.base_bdev_name, create, params, Json(params.name));
      });
  table.add<BdevName>("bdev_passthru_delete", "Remove a passthru device",
                      [=](const BdevName& params) { return delete_or_forget<PassthruDevice>(pending, params); });
}

}  // namespace spdkio::bdev
