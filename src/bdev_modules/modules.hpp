// The built-in modules, in one list.
#pragma once

namespace spdkio::rpc {
class MethodTable;
}

namespace spdkio::bdev {

/// Adds the methods of every module of this folder.
void register_module_methods(rpc::MethodTable& table);

}  // namespace spdkio::bdev
