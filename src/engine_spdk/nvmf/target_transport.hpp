// Our options of a transport as SPDK's.
#pragma once

#include <spdkio/nvme/transport_id.hpp>

#include <spdk/nvmf.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "nvmf/transport_settings.hpp"

struct spdk_json_val;

namespace spdkio::spdk {

std::string_view spdk_name(nvme::TransportType type) noexcept;

/// What SPDK reads while it creates the transport. Stays where it is: `opts` points into it.
struct TransportRequest {
  spdk_nvmf_transport_opts opts{};
  std::string json;
  std::vector<spdk_json_val> values;
};

/// Throws Misuse::not_supported naming the option that SPDK's transports don't have, or the transport that the
/// installed SPDK doesn't; Misuse::invalid_argument for values that can't be.
std::unique_ptr<TransportRequest> to_spdk_request(nvme::TransportType type, const nvmf::TransportSettings& settings,
                                                  std::size_t poll_groups);

}  // namespace spdkio::spdk
