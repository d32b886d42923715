// The nvmf_* RPC methods.
#pragma once

#include <spdkio/rpc/json.hpp>

namespace spdkio::rpc {
class MethodTable;
}

namespace spdkio::nvmf {

/// Adds the methods, with SPDK's names and results. They act on targets of the Thread that serves RPC.
void register_methods(rpc::MethodTable& table);

/// The calls that make the targets of the current Thread again: `nvmf` of a configuration file.
Json config();

}  // namespace spdkio::nvmf
