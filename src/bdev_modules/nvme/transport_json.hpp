// Where a controller is, as the bdev_nvme_* methods show it.
#pragma once

#include <spdkio/nvme/transport_id.hpp>

#include <nlohmann/json.hpp>

namespace spdkio::bdev::nvme_disk {

/// `trid` of SPDK's methods.
inline nlohmann::ordered_json transport_json(const nvme::TransportId& id) {
  nlohmann::ordered_json json{{"trtype", to_string(id.trtype)}, {"traddr", id.traddr}};
  if (id.trtype == nvme::TransportType::pcie) return json;
  if (id.adrfam != nvme::AddressFamily::unspecified) json["adrfam"] = to_string(id.adrfam);
  json["trsvcid"] = id.trsvcid;
  json["subnqn"] = id.subnqn;
  return json;
}

}  // namespace spdkio::bdev::nvme_disk
