// bdev_nvme_start_discovery and its family.
#pragma once

namespace spdkio::rpc {
class MethodTable;
}

namespace spdkio::bdev::nvme_disk {

void register_discovery_methods(rpc::MethodTable& table);

}  // namespace spdkio::bdev::nvme_disk
