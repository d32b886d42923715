// What the RPC methods of the modules have in common.
#pragma once

#include <spdkio/rpc/method_table.hpp>

#include <string>
#include <utility>

#include "bdev_modules/create_delete.hpp"

namespace spdkio::bdev {

/// The parameters of methods that only name a device.
struct BdevName {
  std::string name;
  void fields(rpc::Params& params) { params.required("name", &name, "Name of the bdev"); }
};

/// A delete method: removes a device that is a D.
template <class D>
Task<Json> delete_own(BdevName params) {
  co_await unregister_own<D>(std::move(params.name));
  co_return Json(true);
}

}  // namespace spdkio::bdev
