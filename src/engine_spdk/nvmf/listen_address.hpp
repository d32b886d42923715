// ListenAddress: where a target listens, as SPDK wants it.
#pragma once

#include <spdkio/base/unique_fd.hpp>
#include <spdkio/nvme/transport_id.hpp>
#include <spdkio/runtime/task.hpp>

#include <spdk/nvme.h>

#include <string_view>

namespace spdkio::spdk {

struct ListenAddress {
  nvme::TransportId where;      ///< as it was given, with the real port
  spdk_nvme_transport_id id{};  ///< numeric, without a subsystem
  /// SPDK takes no port 0: a port that the kernel chose is held by this socket until SPDK listens there. It does not
  /// listen itself, so that both can be bound.
  UniqueFd reservation;
};

/// Resolves the address. Throws Error that names what can't be.
Task<ListenAddress> listen_address(nvme::TransportId where);

/// Throws Misuse::invalid_argument for texts that SPDK has no room for.
spdk_nvme_transport_id to_spdk_address(nvme::TransportType type, std::string_view traddr, std::string_view trsvcid,
                                       std::string_view subnqn, bool v6);

}  // namespace spdkio::spdk
