#include "engine_spdk/nvmf/nvmf_driver.hpp"

#include <spdkio/base/log.hpp>

#include <string>
#include <utility>

namespace spdkio::spdk {

Task<std::shared_ptr<nvmf::TargetBackend>> NvmfDriver::create_target(const nvmf::TargetOptions& options) {
  auto target = std::make_shared<SpdkTarget>(control_, options);
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(targets_, [](const auto& each) { return each.expired(); });
    targets_.push_back(target);
  }
  std::string mask(options.poll_groups_mask);
  auto opening = nvmf::TargetBackend::open_and_add(target, std::move(mask));
  co_await std::move(opening);
  co_return target;
}

Task<> NvmfDriver::destroy_left() {
  std::vector<std::weak_ptr<SpdkTarget>> targets;
  {
    const std::lock_guard lock(mutex_);
    targets.swap(targets_);
  }
  for (const auto& each : targets) {
    const std::shared_ptr<SpdkTarget> target = each.lock();
    if (target == nullptr || target->destroyed()) continue;
    log::warn("nvmf: target '{}' was not destroyed before the engine ends", target->name());
    auto ending = target->tear_down();
    co_await std::move(ending);
  }
}

}  // namespace spdkio::spdk
