#include <spdkio/bdev_modules/passthru.hpp>
#include <spdkio/rpc/method_table.hpp>

#include <nlohmann/json.hpp>

#include <string>
#include <utility>

#include "bdev_modules/create_delete.hpp"
#include "bdev_modules/stacked/pending_bases.hpp"
#include "bdev_modules/stacked/stacked_device.hpp"

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

Task<Bdev> create_named(std::string name, std::string base_name, Uuid uuid) {
  if (name.empty()) refuse_option("passthru", "name", "is empty");
  auto base = StackedBase::open(base_name, "passthru");
  co_return co_await register_stacked(base, std::make_unique<PassthruDevice>(name, base, uuid), true);
}

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

struct NameParams {
  std::string name;
  void fields(rpc::Params& params) { params.required("name", &name, "Name of the bdev"); }
};

Task<Json> create(std::shared_ptr<PendingBases> pending, CreateParams params) {
  const PendingBases::Make make = [params]() -> Task<> {
    return discard(create_named(params.name, params.base_bdev_name, params.uuid));
  };
  auto creating = PendingBases::make_or_wait(std::move(pending), params.name, params.base_bdev_name, make);
  co_await std::move(creating);
  co_return Json(std::move(params.name));
}

Task<Json> remove(std::shared_ptr<PendingBases> pending, NameParams params) {
  if (!pending->forget(params.name)) co_await unregister_own<PassthruDevice>(std::move(params.name));
  co_return Json(true);
}

}  // namespace

Task<Bdev> create_passthru(const PassthruOptions& options) {
  return create_named(std::string{options.name}, std::string{options.base}, options.uuid);
}

Task<> delete_passthru(std::string_view name) { return unregister_own<PassthruDevice>(std::string{name}); }

void register_passthru_methods(rpc::MethodTable& table) {
  const auto pending = std::make_shared<PendingBases>();
  table.add<CreateParams>("bdev_passthru_create", "Make a device that hands every request to another",
                          [=](CreateParams params) { return create(pending, std::move(params)); });
  table.add<NameParams>("bdev_passthru_delete", "Remove a passthru device",
                        [=](NameParams params) { return remove(pending, std::move(params)); });
}

}  // namespace spdkio::bdev
