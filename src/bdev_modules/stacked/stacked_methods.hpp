// The create and delete methods of modules whose devices each stand on one other, which may not be there yet.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "bdev_modules/module_methods.hpp"
#include "bdev_modules/stacked/pending_bases.hpp"

namespace spdkio::bdev {

/// Runs `make(params)`, now or when `base` appears, and gives `answer` in both cases.
template <class Params>
Task<Json> create_or_wait(std::shared_ptr<PendingBases> pending, std::string name, std::string base,
                          Task<Bdev> (*make)(Params), Params params, Json answer) {
  const PendingBases::Make make_it = [make, params = std::move(params)]() -> Task<> { return discard(make(params)); };
  auto creating = PendingBases::make_or_wait(std::move(pending), std::move(name), std::move(base), make_it);
  co_await std::move(creating);
  co_return answer;
}

/// Removes a device that is a D, or forgets one that still waits for its base.
template <class D>
Task<Json> delete_or_forget(std::shared_ptr<PendingBases> pending, BdevName params) {
  if (!pending->forget(params.name)) co_await unregister_own<D>(std::move(params.name));
  co_return Json(true);
}

}  // namespace spdkio::bdev
