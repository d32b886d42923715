#include "bdev_modules/error/injections.hpp"

namespace spdkio::bdev {

void Injections::add(const ErrorInjection& injection) {
  if (injection.count == 0) return;
  const std::lock_guard lock(mutex_);
  rules_.push_back(injection);
  any_ = true;
}

void Injections::clear() {
  const std::lock_guard lock(mutex_);
  rules_.clear();
  any_ = false;
}

std::optional<ErrorInjection> Injections::match_slowly(const Io& io, std::uint64_t in_flight) {
  const std::lock_guard lock(mutex_);
  for (auto rule = rules_.begin(); rule != rules_.end(); ++rule) {
    if (rule->type && *rule->type != io.type) continue;
    if (rule->range && !rule->range->overlaps(io.range())) continue;
    if (in_flight < rule->queue_depth) continue;
    if (rule->action == ErrorAction::corrupt_data && io.type != IoType::read && io.type != IoType::write) continue;
    const ErrorInjection matched = *rule;
    if (rule->count != UINT64_MAX && --rule->count == 0) {
      rules_.erase(rule);
      any_ = !rules_.empty();
    }
    return matched;
  }
  return std::nullopt;
}

}  // namespace spdkio::bdev
