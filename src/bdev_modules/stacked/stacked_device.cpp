#include "bdev_modules/stacked/stacked_device.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <new>
#include <utility>

namespace spdkio::bdev {
namespace {
constexpr std::size_t children_per_slab = 64;
}

std::shared_ptr<StackedBase> StackedBase::open(const std::string& base, std::string module) {
  auto device = Service::current().find(base);
  if (device == nullptr) {
    throw Error(std::errc::no_such_device, "there is no such bdev").with_operation("open").with_device(base);
  }
  const bool read_only = device->geometry().read_only;
  const std::shared_ptr<StackedBase> self(new StackedBase);
  self->desc_ = std::make_shared<DescState>(std::move(device), read_only ? Access::read_only : Access::read_write,
                                            std::weak_ptr<BaseObserver>(self));
  self->desc_->claim(Claim::exclusive_write, std::move(module), 0);
  return self;
}

StackedBase::~StackedBase() { close(); }

void StackedBase::watch(std::vector<std::string> dependents, bool follow_size) {
  const std::lock_guard lock(mutex_);
  dependents_ = std::move(dependents);
  follow_size_ = follow_size;
}

Task<> StackedBase::base_removed() {
  std::vector<std::string> dependents;
  {
    const std::lock_guard lock(mutex_);
    dependents = dependents_;
  }
  for (const auto& name : dependents) {
    auto removing = Service::current().unregister_device(name);
    const auto removed = co_await as_result(std::move(removing));
    if (!removed && removed.error().code() != std::errc::no_such_device) {
      log::error("cannot remove '{}' after its base: {}", name, removed.error().what());
    }
  }
}

void StackedBase::base_resized(BlockCount num_blocks) noexcept {
  std::vector<std::string> dependents;
  {
    const std::lock_guard lock(mutex_);
    if (follow_size_) dependents = dependents_;
  }
  for (const auto& name : dependents) {
    try {
      Service::current().notify_resize(name, num_blocks);
    } catch (const Error& error) {
      log::warn("'{}' can't follow the size of its base: {}", name, error.what());
    }
  }
}

void StackedBase::close() noexcept {
  const std::lock_guard lock(mutex_);
  if (desc_ != nullptr && !std::exchange(closed_, true)) desc_->close();
}

StackedChannel::StackedChannel(const StackedBase& base) : base_(base.io_channel()) {}

StackedChannel::~StackedChannel() = default;

StackedChild* StackedChannel::take() noexcept {
  if (free_ == nullptr) [[unlikely]] {
    auto slab = std::unique_ptr<StackedChild[]>(new (std::nothrow) StackedChild[children_per_slab]);
    if (slab == nullptr) return nullptr;
    for (std::size_t i = 0; i < children_per_slab; ++i) {
      slab[i].channel = this;
      slab[i].next_child = std::exchange(free_, &slab[i]);
    }
    slabs_.push_back(std::move(slab));
  }
  return std::exchange(free_, free_->next_child);
}

StackedChild* StackedChannel::take_for(Io& parent) noexcept {
  StackedChild* child = take();
  if (child == nullptr) [[unlikely]]
    return nullptr;
  child->assign_request(parent);
  child->parent = &parent;
  child_of(parent) = child;
  return child;
}

void StackedChannel::send(StackedChild& child) noexcept {
  child.base_has_it = true;
  child.set_on_complete([](Io& io) noexcept {
    auto& ended = static_cast<StackedChild&>(io);
    ended.base_has_it = false;
    ended.channel->child_done(ended);
  });
  base_.slot()->submit(child);
}

void StackedChannel::forward(Io& parent, std::uint64_t offset_blocks) noexcept {
  StackedChild* child = take_for(parent);
  if (child == nullptr) {
    parent.complete(IoStatus::no_memory());
    return;
  }
  child->lba += offset_blocks;
  if (parent.type == IoType::copy) child->source_lba += offset_blocks;
  send(*child);
}

void StackedChannel::abort(Io& io) noexcept {
  StackedChild* child = child_of(io);
  if (child->base_has_it) base_.slot()->abort(*child);
}

IoStatus StackedChannel::status_of(const StackedChild& child) noexcept { return child.status(); }

void StackedChannel::finish(StackedChild& child, IoStatus status) noexcept {
  Io& parent = *child.parent;
  parent.result = child.result;
  child.next_child = std::exchange(free_, &child);
  parent.complete(status);
}

bool StackedDevice::supports(IoType type) const noexcept { return base_->device().supports(type); }

Task<Bdev> register_stacked(std::shared_ptr<StackedBase> base, std::unique_ptr<StackedDevice> device,
                            bool follow_size) {
  // Before it is known: its base may go from then on.
  std::vector<std::string> dependents{device->name()};
  base->watch(std::move(dependents), follow_size);
  auto registering = Service::current().register_device(std::move(device));
  auto state = co_await as_result(std::move(registering));
  if (!state) {
    base->close();
    throw std::move(state).error();
  }
  co_return Bdev{*std::move(state)};
}

Geometry geometry_of(const DeviceState& base) {
  Geometry geometry = base.geometry();
  geometry.num_blocks = base.num_blocks().value;
  return geometry;
}

}  // namespace spdkio::bdev
