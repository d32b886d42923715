#include "engine_spdk/bdev_service.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/when_all.hpp>

#include <spdk/bdev_module.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace spdkio::spdk {
namespace {

SpdkBdevs* current_bdevs = nullptr;

/// How long a registration waits for SPDK's modules.
constexpr std::chrono::seconds examine_limit{1};

void examine(spdk_bdev* bdev) noexcept {
  if (bdev->module != &bdev_module()) SpdkBdevs::appeared(*bdev);
  ::spdk_bdev_module_examine_done(&bdev_module());
}

}  // namespace

spdk_bdev_module& bdev_module() noexcept {
  static spdk_bdev_module module = [] {
    spdk_bdev_module made{};
    made.name = "spdkio";
    made.module_init = [] { return 0; };
    made.get_ctx_size = [] { return static_cast<int>(exported_request_size()); };
    made.examine_config = examine;
    return made;
  }();
  return module;
}

namespace {
// SPDK wants its modules listed before its start; nothing of ours runs here but this.
[[gnu::constructor]] void list_module() { ::spdk_bdev_module_list_add(&bdev_module()); }
}  // namespace

SpdkBdevs::SpdkBdevs(Control& control) : control_(control) { current_bdevs = this; }
SpdkBdevs::~SpdkBdevs() { current_bdevs = nullptr; }

// The device is known when SPDK's registration returns, so that an RPC that made it is answered after that.
void SpdkBdevs::appeared(spdk_bdev& bdev) noexcept {
  if (current_bdevs == nullptr) return;
  SpdkBdevs& self = *current_bdevs;
  std::unique_ptr<SpdkDevice> device;
  try {
    device = SpdkDevice::open(bdev, self.control_, self);
    SpdkDevice* const raw = device.get();
    {
      const std::lock_guard lock(self.mutex_);
      self.spdk_devices_[raw->name()] = raw;
    }
    auto state = self.registry_.add(std::move(device));
    [[maybe_unused]] const auto examined =
        self.control_.handle().spawn(self.registry_.examine(std::move(state)), "examine");
  } catch (...) {
    const Error error = Error::from_current_exception();
    {
      const std::lock_guard lock(self.mutex_);
      self.spdk_devices_.erase(::spdk_bdev_get_name(&bdev));
    }
    log::error("SPDK's bdev '{}' can't be used: {}", ::spdk_bdev_get_name(&bdev), error.what());
  }
}

Task<std::shared_ptr<bdev::DeviceState>> SpdkBdevs::register_device(std::unique_ptr<bdev::Device> device) {
  auto state = registry_.add(std::move(device));
  std::optional<Error> failure;
  try {
    auto creation = ExportedBdev::create(state, control_);
    ExportedBdev* const exported = co_await std::move(creation);
    const std::lock_guard lock(mutex_);
    exported_[state->name()] = exported;
  } catch (const Error& error) {
    failure = error;
  }
  if (failure) {
    auto removal = registry_.unregister_device(state->name());
    co_await std::move(removal);
    throw Error(*failure);
  }
  auto looked = await_spdk_examine(state->name());
  co_await std::move(looked);
  auto reset = state->reset_stats();
  co_await std::move(reset);
  auto examined = registry_.examine(state);
  co_await std::move(examined);
  co_return state;
}

/// SPDK's modules look for partitions, logical volumes and the like on a new bdev: that is over before anybody uses it,
/// and not part of what its users did. A device may be slow, or hold reads on purpose: then it goes on beside them.
Task<> SpdkBdevs::await_spdk_examine(std::string name) {
  struct Look {
    Control& control;
    std::atomic<bool> done{false};
  };
  const auto look = std::make_shared<Look>(control_);
  auto begin = [this, look] {
    auto context = std::make_unique<std::shared_ptr<Look>>(look);
    control_.app().began();
    const auto finish = [](void* kept) {
      const std::unique_ptr<std::shared_ptr<Look>> own(static_cast<std::shared_ptr<Look>*>(kept));
      (*own)->control.app().ended();
      (*own)->done = true;
    };
    const int rc = ::spdk_bdev_wait_for_examine(finish, context.get());
    if (rc == 0) {
      [[maybe_unused]] auto* const kept = context.release();
    } else {
      control_.app().ended();
      look->done = true;
    }
    return rc;
  };
  auto begun = control_.on_app(begin);
  const int rc = co_await std::move(begun);
  if (rc != 0) log::warn("SPDK may still examine '{}': error {}", name, -rc);
  const auto deadline = std::chrono::steady_clock::now() + examine_limit;
  while (!look->done) {
    if (std::chrono::steady_clock::now() > deadline) {
      log::info("SPDK still examines '{}'", name);
      co_return;
    }
    co_await sleep_for(std::chrono::microseconds{20});
  }
}

Task<> SpdkBdevs::unregister_device(std::string name) {
  const auto state = registry_.find(name);
  if (state == nullptr) {
    throw Error(std::errc::no_such_device, "there is no such bdev").with_operation("unregister").with_device(name);
  }
  name = state->name();
  spdk_bdev* bdev = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = spdk_devices_.find(name);
    if (found != spdk_devices_.end()) bdev = found->second->bdev();
  }
  if (bdev != nullptr) {
    auto unregistered = unregister_spdk_bdev(name, bdev);
    co_await std::move(unregistered);
    co_return;
  }
  // At once: SPDK's users let go when their requests have ended, and those that the device holds end with its removal.
  auto unexported = unexport(name);
  auto removal = registry_.unregister_device(name);
  co_await when_all(std::move(unexported), std::move(removal));
}

Task<> SpdkBdevs::unexport(std::string name) {
  ExportedBdev* exported = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = exported_.find(name);
    if (found == exported_.end()) co_return;
    exported = found->second;
    exported_.erase(found);
  }
  auto begin = [exported](void* context) { ::spdk_bdev_unregister(&exported->bdev(), Control::Call::finish, context); };
  auto call = control_.call(begin);
  const int rc = co_await std::move(call);
  if (rc != 0) log::error("SPDK does not let go of '{}': error {}", name, -rc);
}

Task<> SpdkBdevs::unregister_spdk_bdev(std::string name, spdk_bdev* bdev) {
  auto begin = [this, name, bdev](void* context) {
    // On this thread alone bdevs go away: it is there if it is still known.
    bool known = false;
    {
      const std::lock_guard lock(mutex_);
      known = spdk_devices_.contains(name);
    }
    if (known) {
      ::spdk_bdev_unregister(bdev, Control::Call::finish, context);
    } else {
      Control::Call::finish(context, -ENODEV);
    }
  };
  auto call = control_.call(begin);
  const int rc = co_await std::move(call);
  if (rc == -EBUSY || rc == -ENODEV) {  // it is on its way already
    while (registry_.find(name) != nullptr) co_await sleep_for(std::chrono::milliseconds{1});
    throw Error(std::errc::no_such_device, "the bdev was being removed").with_operation("unregister").with_device(name);
  }
  if (rc != 0) {
    throw Error::from_errno(-rc, "SPDK does not remove it").with_operation("spdk_bdev_unregister").with_device(name);
  }
}

void SpdkBdevs::notify_resize(const std::string& name, BlockCount num_blocks) {
  registry_.notify_resize(name, num_blocks);
  ExportedBdev* exported = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = exported_.find(name);
    if (found != exported_.end()) exported = found->second;
  }
  if (exported == nullptr) return;
  [[maybe_unused]] const auto sent = control_.handle().send([this, name, num_blocks] {
    const std::lock_guard lock(mutex_);
    const auto found = exported_.find(name);
    if (found == exported_.end()) return;
    control_.app().make_current();
    const int rc = ::spdk_bdev_notify_blockcnt_change(&found->second->bdev(), num_blocks.value);
    if (rc != 0) log::error("SPDK does not take the new size of '{}': error {}", name, -rc);
  });
}

void SpdkBdevs::bdev_removed(const std::string& name) {
  [[maybe_unused]] const auto removed = control_.handle().spawn(remove(name), "remove");
}

void SpdkBdevs::bdev_resized(const std::string& name, BlockCount num_blocks) {
  if (const auto state = registry_.find(name)) state->resize(num_blocks);
}

void SpdkBdevs::bdev_media(const std::string& name, LbaRange range) {
  if (const auto state = registry_.find(name)) {
    state->notify({.type = bdev::BdevEventType::media, .num_blocks = {}, .media = range});
  }
}

Task<> SpdkBdevs::remove(std::string name) {
  {
    const std::lock_guard lock(mutex_);
    spdk_devices_.erase(name);
  }
  auto removal = registry_.unregister_device(name);
  const Result<> removed = co_await as_result(std::move(removal));
  if (!removed) log::error("SPDK's bdev '{}' does not go away: {}", name, removed.error().what());
}

}  // namespace spdkio::spdk
