#include <spdkio/bdev_modules/nvme.hpp>

#include <string>
#include <utility>

#include "bdev_modules/nvme/attached_controller.hpp"
#include "nvme/settings.hpp"

namespace spdkio::bdev {
namespace {

Task<std::vector<std::string>> attach_named(std::string name, nvme::ControllerSettings settings) {
  auto attaching = nvme_disk::AttachedController::attach(std::move(name), std::move(settings));
  const auto controller = co_await std::move(attaching);
  co_return controller->bdev_names();
}

Task<> detach_named(std::string name) {
  const auto controller = nvme_disk::AttachedController::find(name);
  auto detaching = controller->detach();
  co_await std::move(detaching);
}

Task<> reset_named(std::string name) {
  const auto controller = nvme_disk::AttachedController::find(name);
  auto resetting = controller->core()->reset();
  co_await std::move(resetting);
}

}  // namespace

Task<std::vector<std::string>> attach_nvme(std::string_view name, const nvme::TransportId& id,
                                           const nvme::ControllerOptions& options) {
  nvme::ControllerOptions named = options;
  if (named.name.empty()) named.name = name;
  return attach_named(std::string(name), nvme::ControllerSettings::from(id, named));
}

Task<> detach_nvme(std::string_view name) { return detach_named(std::string(name)); }
Task<> reset_nvme(std::string_view name) { return reset_named(std::string(name)); }

}  // namespace spdkio::bdev
