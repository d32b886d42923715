// What the modules' create and delete functions have in common.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/bdev/bdev.hpp>
#include <spdkio/bdev/service.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace spdkio::bdev {

inline Task<Bdev> register_new(std::unique_ptr<Device> device) {
  auto state = co_await Service::current().register_device(std::move(device));
  co_return Bdev{std::move(state)};
}

/// Runs a task whose value nobody needs.
template <class T>
Task<> discard(Task<T> task) {
  co_await std::move(task);
}

/// Removes a device that is a D; ENODEV otherwise, so that one module can't delete another's devices.
template <class D>
Task<> unregister_own(std::string name) {
  const auto state = Service::current().find(name);
  if (state == nullptr || dynamic_cast<D*>(state->device()) == nullptr) {
    throw Error(std::errc::no_such_device, "there is no such bdev of this module")
        .with_operation("delete")
        .with_device(name);
  }
  co_await Service::current().unregister_device(state->name());
}

/// Refuses an option with the reason.
[[noreturn]] inline void refuse_option(std::string_view device, std::string_view option, std::string_view reason) {
  throw Error(Misuse::invalid_argument, std::string{option} + " " + std::string{reason})
      .with_operation("create")
      .with_device(device);
}

/// The metadata sizes that SPDK allows.
inline void check_metadata_size(std::string_view device, std::uint32_t size) {
  for (const std::uint32_t allowed : {0U, 8U, 16U, 32U, 64U, 128U}) {
    if (size == allowed) return;
  }
  refuse_option(device, "md_size", "must be 0, 8, 16, 32, 64 or 128");
}

}  // namespace spdkio::bdev
