#include "bdev/registry.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

namespace spdkio::bdev {
namespace {

Error invalid(const Device& device, std::string message) {
  return Error(Misuse::invalid_argument, std::move(message)).with_operation("register").with_device(device.name());
}

void check_device(const Device& device) {
  const Geometry& geometry = device.geometry();
  if (device.name().empty()) throw invalid(device, "a bdev needs a name");
  const std::uint32_t data_size = geometry.block_size - (geometry.metadata_interleaved ? geometry.metadata_size : 0);
  if (geometry.block_size == 0 || data_size == 0 || data_size > geometry.block_size) {
    throw invalid(device, fmt::format("block_size {} is impossible", geometry.block_size));
  }
  if (geometry.num_blocks == 0) throw invalid(device, "num_blocks is zero");
  if (geometry.num_blocks > UINT64_MAX / geometry.block_size) {
    throw invalid(device, fmt::format("num_blocks {} times block_size {} does not fit in 64 bits", geometry.num_blocks,
                                      geometry.block_size));
  }
  if (!std::has_single_bit(geometry.buffer_alignment)) {
    throw invalid(device, fmt::format("buffer_alignment {} is no power of two", geometry.buffer_alignment));
  }
  if (geometry.write_unit_blocks == 0) throw invalid(device, "write_unit_blocks is zero");
  if (geometry.zone_size_blocks != 0 && geometry.num_blocks % geometry.zone_size_blocks != 0) {
    throw invalid(device, "the size is not a whole number of zones");
  }
}

/// How often a wait for a device looks again.
constexpr std::chrono::milliseconds wait_period{5};

}  // namespace

Registry::~Registry() {
  for (const auto& device : devices_)
    log::error("bdev '{}' was not unregistered before the engine stopped", device->name());
}

std::shared_ptr<DeviceState> Registry::find_locked(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found != by_name_.end() ? found->second->shared_from_this() : nullptr;
}

std::shared_ptr<DeviceState> Registry::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  return find_locked(name);
}

std::vector<std::shared_ptr<DeviceState>> Registry::list() const {
  const std::lock_guard lock(mutex_);
  return devices_;
}

Task<std::shared_ptr<DeviceState>> Registry::wait_for(std::string name, std::chrono::nanoseconds limit) {
  const std::uint64_t deadline = ticks_after(ticks(), limit);
  for (;;) {
    if (auto device = find(name)) co_return device;
    if (ticks() >= deadline) {
      throw Error(std::errc::timed_out, "the bdev did not appear").with_operation("open").with_device(name);
    }
    co_await sleep_for(wait_period);
  }
}

void Registry::take_names_locked(const std::vector<std::string>& names, DeviceState& state, const char* operation) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (by_name_.emplace(names[i], &state).second) continue;
    for (std::size_t j = 0; j < i; ++j) by_name_.erase(names[j]);
    throw Error(std::errc::file_exists, "the name is taken").with_operation(operation).with_device(names[i]);
  }
}

std::shared_ptr<DeviceState> Registry::add(std::unique_ptr<Device> device) {
  check_device(*device);
  auto state = std::make_shared<DeviceState>(std::move(device));
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names = state->aliases();
  names.insert(names.begin(), state->name());
  take_names_locked(names, *state, "register");
  devices_.push_back(state);
  return state;
}

Task<> Registry::examine(std::shared_ptr<DeviceState> state) {
  std::vector<std::shared_ptr<Examiner>> examiners;
  {
    const std::lock_guard lock(mutex_);
    examiners = examiners_;
  }
  for (const auto& examiner : examiners) {
    auto step = examiner->examine(state);
    co_await std::move(step);
  }
}

Task<std::shared_ptr<DeviceState>> Registry::register_device(std::unique_ptr<Device> device) {
  auto state = add(std::move(device));
  auto examined = examine(state);
  co_await std::move(examined);
  co_return state;
}

void Registry::take_out_locked(const std::shared_ptr<DeviceState>& state) {
  std::erase_if(by_name_, [&](const auto& entry) { return entry.second == state.get(); });
  std::erase(devices_, state);
}

Task<> Registry::unregister_device(std::string name) {
  std::shared_ptr<DeviceState> state;
  {
    const std::lock_guard lock(mutex_);
    state = find_locked(name);
    if (state != nullptr) take_out_locked(state);
  }
  if (state == nullptr) {
    throw Error(std::errc::no_such_device, "there is no such bdev").with_operation("unregister").with_device(name);
  }
  co_await state->retire();
}

// Others may remove devices meanwhile: each is looked for and taken in one step.
Task<> Registry::unregister_all() {
  for (;;) {
    std::shared_ptr<DeviceState> last;
    {
      const std::lock_guard lock(mutex_);
      if (devices_.empty()) co_return;
      last = devices_.back();
      take_out_locked(last);
    }
    co_await last->retire();
  }
}

void Registry::notify_resize(const std::string& name, BlockCount num_blocks) {
  const auto state = find(name);
  if (state == nullptr) {
    throw Error(std::errc::no_such_device, "there is no such bdev").with_operation("resize").with_device(name);
  }
  if (num_blocks < state->num_blocks() && state->descriptor_count() > 0) {
    throw Error(std::errc::device_or_resource_busy, "can't shrink while it is open")
        .with_operation("resize")
        .with_device(name);
  }
  state->resize(num_blocks);
}

void Registry::set_aliases(const std::string& name, std::vector<std::string> aliases) {
  const std::lock_guard lock(mutex_);
  const auto state = find_locked(name);
  if (state == nullptr) {
    throw Error(std::errc::no_such_device, "there is no such bdev").with_operation("set aliases").with_device(name);
  }
  const std::vector<std::string> before = state->aliases();
  std::vector<std::string> added;
  for (const std::string& alias : aliases) {
    if (std::ranges::count(before, alias) == 0) added.push_back(alias);
  }
  take_names_locked(added, *state, "set aliases");
  for (const std::string& alias : before) {
    if (std::ranges::count(aliases, alias) == 0) by_name_.erase(alias);
  }
  state->set_aliases(std::move(aliases));
}

void Registry::add_examiner(std::shared_ptr<Examiner> examiner) {
  const std::lock_guard lock(mutex_);
  examiners_.push_back(std::move(examiner));
}

void Registry::remove_examiner(const Examiner& examiner) noexcept {
  const std::lock_guard lock(mutex_);
  std::erase_if(examiners_, [&](const auto& one) { return one.get() == &examiner; });
}

}  // namespace spdkio::bdev
