#include "bdev_modules/stacked/pending_bases.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <algorithm>
#include <utility>

namespace spdkio::bdev {

Task<> PendingBases::make_or_wait(std::shared_ptr<PendingBases> self, std::string name, std::string base, Make make) {
  if (Service::current().find(base) != nullptr) {
    co_await make();
    co_return;
  }
  self->add({name, base, std::move(make)});
  log::info("'{}' is made when its base '{}' appears", name, base);
  // It may have come between the look and the note.
  if (const auto device = Service::current().find(base)) co_await self->examine(device);
}

void PendingBases::add(Waiting waiting) {
  const std::lock_guard lock(mutex_);
  if (std::ranges::find(waiting_, waiting.name, &Waiting::name) != waiting_.end()) {
    throw Error(std::errc::file_exists, "it waits for its base already")
        .with_operation("create")
        .with_device(waiting.name);
  }
  waiting_.push_back(std::move(waiting));
  if (!std::exchange(examines_, true)) Service::current().add_examiner(shared_from_this());
}

bool PendingBases::forget(std::string_view name) {
  const std::lock_guard lock(mutex_);
  return std::erase_if(waiting_, [&](const Waiting& waiting) { return waiting.name == name; }) != 0;
}

std::vector<PendingBases::Waiting> PendingBases::take_for(const DeviceState& device) {
  const std::lock_guard lock(mutex_);
  std::vector<Waiting> taken;
  std::erase_if(waiting_, [&](Waiting& waiting) {
    const bool answers = waiting.base == device.name() || std::ranges::count(device.aliases(), waiting.base) != 0;
    if (answers) taken.push_back(std::move(waiting));
    return answers;
  });
  return taken;
}

Task<> PendingBases::examine(std::shared_ptr<DeviceState> device) {
  auto ready = take_for(*device);
  for (Waiting& waiting : ready) {
    auto making = waiting.make();
    const auto made = co_await as_result(std::move(making));
    if (!made)
      log::error("cannot make '{}', which waited for '{}': {}", waiting.name, waiting.base, made.error().what());
  }
}

}  // namespace spdkio::bdev
