#include "bdev_modules/stacked/stacked_device.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/thread.hpp>

#include <exception>
#include <new>
#include <utility>

namespace spdkio::bdev {
namespace {
constexpr std::size_t children_per_slab = 64;
}

StackedBase::StackedBase(BdevDesc desc) : desc_(std::move(desc)), home_(CurrentThread::handle()) {}

Task<std::shared_ptr<StackedBase>> StackedBase::open(std::string base, std::string module) {
  const auto found = Service::current().find(base);
  const bool read_only = found != nullptr && found->geometry().read_only;
  auto desc = co_await BdevDesc::open(base, read_only ? Access::read_only : Access::read_write);
  std::exception_ptr failure;
  try {
    desc.claim(Claim::exclusive_write, module);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await desc.close();
    std::rethrow_exception(failure);
  }
  co_return std::make_shared<StackedBase>(std::move(desc));
}

void StackedBase::watch(std::vector<std::string> dependents, bool follow_size) {
  home_.spawn(watch_events(desc_.state(), std::move(dependents), follow_size), "watch " + desc_.name()).detach();
}

Task<> StackedBase::watch_events(std::shared_ptr<DescState> desc, std::vector<std::string> dependents,
                                 bool follow_size) {
  for (;;) {
    auto waiting = desc->next_event();
    const auto event = co_await as_result(std::move(waiting));
    if (!event || !*event) co_return;  // closed, or the Thread ends
    if ((*event)->type == BdevEventType::remove) {
      for (const auto& name : dependents) {
        auto removing = Service::current().unregister_device(name);
        const auto removed = co_await as_result(std::move(removing));
        if (!removed && removed.error().code() != std::errc::no_such_device) {
          log::error("cannot remove '{}' after its base: {}", name, removed.error().what());
        }
      }
      co_return;
    }
    if ((*event)->type != BdevEventType::resize || !follow_size) continue;
    for (const auto& name : dependents) {
      try {
        Service::current().notify_resize(name, (*event)->num_blocks);
      } catch (const Error& error) {
        log::warn("'{}' can't follow the size of its base: {}", name, error.what());
      }
    }
  }
}

Task<> StackedBase::close() {
  if (!home_.is_current()) co_await resume_on(home_);
  if (!desc_.state()->closed()) desc_.state()->close();
}

StackedChannel::StackedChannel(const StackedBase& base) : base_(base.desc().io_channel()) {}

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

void StackedChannel::forward(Io& parent, std::uint64_t offset_blocks) noexcept {
  StackedChild* child = take();
  if (child == nullptr) {
    parent.complete(IoStatus::no_memory());
    return;
  }
  child->assign_request(parent);
  child->lba += offset_blocks;
  if (parent.type == IoType::copy) child->source_lba += offset_blocks;
  child->parent = &parent;
  child_of(parent) = child;
  child->base_has_it = true;
  child->set_on_complete([](Io& io) noexcept {
    auto& ended = static_cast<StackedChild&>(io);
    ended.base_has_it = false;
    ended.channel->child_done(ended);
  });
  base_.slot()->submit(*child);
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
  std::exception_ptr failure;
  try {
    auto state = co_await Service::current().register_device(std::move(device));
    base->watch({state->name()}, follow_size);
    co_return Bdev{std::move(state)};
  } catch (...) {
    failure = std::current_exception();
  }
  co_await base->close();
  std::rethrow_exception(failure);
}

Geometry geometry_of(const DeviceState& base) {
  Geometry geometry = base.geometry();
  geometry.num_blocks = base.num_blocks().value;
  return geometry;
}

}  // namespace spdkio::bdev
