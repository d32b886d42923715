// From our TransportId and ControllerOptions to SPDK's.
#pragma once

#include <spdk/nvme.h>

#include <string>

#include "nvme/settings.hpp"

namespace spdkio::spdk {

/// Throws Error for what SPDK's initiator does not have: Misuse::not_supported that names the transport or option,
/// EPERM for a PCIe controller with EnvOptions::no_pci.
void check_connect_options(const nvme::ControllerSettings& settings);

/// On an OS thread that may wait for SPDK's locks.
spdk_nvme_ctrlr_opts to_spdk_options(const nvme::ControllerSettings& settings);

/// `traddr` is numeric. Throws Misuse::invalid_argument for a field that is longer than SPDK's.
spdk_nvme_transport_id to_spdk_id(const nvme::ControllerSettings& settings, const std::string& traddr,
                                  spdk_nvmf_adrfam family);

}  // namespace spdkio::spdk
