// The nvme module: namespaces of NVMe controllers as bdevs.
#pragma once

#include <spdkio/nvme/options.hpp>
#include <spdkio/nvme/transport_id.hpp>
#include <spdkio/runtime/task.hpp>

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace spdkio::rpc {
class MethodTable;
}

namespace spdkio::bdev {

/// Connects to a controller and registers each of its namespaces as a bdev called `<name>n<nsid>`; gives their names.
/// From then on bdevs come, go and change their size with the namespaces. While the controller is away, requests wait
/// as `options.reconnect` says; when it is given up, its bdevs are removed. The calling Thread looks after the
/// controller and must live until `detach_nvme`.
///
/// Errors: EEXIST when the name is taken, and those of nvme::Controller::connect and Service::register_device; nothing
/// stays behind.
Task<std::vector<std::string>> attach_nvme(std::string_view name, const nvme::TransportId& id,
                                           const nvme::ControllerOptions& options = {});
/// Removes the bdevs of a controller and disconnects it. ENODEV when there is none of that name.
Task<> detach_nvme(std::string_view name);
/// Takes the connections down and makes them again; requests go on afterwards.
Task<> reset_nvme(std::string_view name);

/// The calls that start the discovery services again that are followed now: a part of the configuration that no bdev
/// has, since their controllers come and go.
nlohmann::ordered_json nvme_discovery_config();

/// bdev_nvme_attach_controller, bdev_nvme_detach_controller, bdev_nvme_get_controllers, bdev_nvme_reset_controller,
/// bdev_nvme_get_controller_health_info, bdev_nvme_set_options, bdev_nvme_send_cmd, bdev_nvme_start_discovery,
/// bdev_nvme_stop_discovery, bdev_nvme_get_discovery_info.
void register_nvme_methods(rpc::MethodTable& table);

}  // namespace spdkio::bdev
