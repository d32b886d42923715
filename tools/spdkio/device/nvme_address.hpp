// An NVMe controller, or one of its namespaces, as it is named on the command line.
#pragma once

#include <spdkio/nvme/transport_id.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace spdkio::tool {

struct NvmeAddress {
  nvme::TransportId id;
  std::optional<std::uint32_t> nsid;  ///< when the text says `ns:NUMBER`
};

/// True for text that is meant as a transport id.
bool is_transport_id(std::string_view text);

/// A transport id, which may also say `ns:NUMBER`, as SPDK's programs read it. Throws `Failure` for what cannot be
/// right.
NvmeAddress parse_nvme_address(std::string_view text);

}  // namespace spdkio::tool
