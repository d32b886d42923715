#include <spdkio/bdev/device_state.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/bdev/desc_state.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace spdkio::bdev {
namespace {

/// Runs `fn(slot)` on the Thread of a slot, if both still exist there.
template <class F>
Task<> on_slot(std::shared_ptr<DeviceState> device, ChannelSlot* slot, std::shared_ptr<detail::Mailbox> mailbox, F fn) {
  try {
    co_await resume_on(ThreadHandle{std::move(mailbox)});
  } catch (const Error&) {
    co_return;  // the Thread has ended, and its slot with it
  }
  if (device->has_slot(*slot)) co_await fn(*slot);
}

}  // namespace

DeviceState::DeviceState(std::unique_ptr<Device> device)
    : name_(device->name()),
      product_name_(device->product_name()),
      uuid_(device->uuid() == Uuid{} ? Uuid::random() : device->uuid()),
      geometry_(device->geometry()),
      num_blocks_(device->geometry().num_blocks),
      device_(std::move(device)),
      aliases_(device_->aliases()) {
  device_->uuid_ = uuid_;
  for (std::size_t i = 0; i < io_type_count; ++i) {
    if (device_->supports(static_cast<IoType>(i))) supported_ |= 1U << i;
  }
}

DeviceState::~DeviceState() = default;

std::vector<std::string> DeviceState::bases() const {
  const std::lock_guard lock(mutex_);
  return device_ != nullptr ? device_->bases() : std::vector<std::string>();
}

nlohmann::ordered_json DeviceState::driver_specific() const {
  const std::lock_guard lock(mutex_);
  return device_ != nullptr ? device_->driver_specific() : nlohmann::ordered_json::object();
}

nlohmann::ordered_json DeviceState::config() const {
  const std::lock_guard lock(mutex_);
  return device_ != nullptr ? device_->config() : nlohmann::ordered_json(nullptr);
}

std::vector<std::string> DeviceState::aliases() const {
  const std::lock_guard lock(mutex_);
  return aliases_;
}

void DeviceState::set_aliases(std::vector<std::string> aliases) {
  const std::lock_guard lock(mutex_);
  aliases_.swap(aliases);
}

ChannelSlot& DeviceState::acquire_slot() {
  auto& core = detail::ThreadCore::require_current("io_channel");
  {
    const std::lock_guard lock(mutex_);
    for (const Holder& holder : slots_) {
      if (&holder.slot->core() != &core) continue;
      holder.slot->add_reference();
      return *holder.slot;
    }
    if (removed()) {
      throw Error(std::errc::no_such_device, "the device was removed").with_operation("io_channel").with_device(name_);
    }
    ++slots_being_made_;
  }
  // Only this Thread makes slots for itself, so that nobody else can have made one since; `retire` waits for this one.
  ChannelSlot* slot = nullptr;
  try {
    slot = new ChannelSlot(shared_from_this(), core);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    --slots_being_made_;
    throw;
  }
  slot->add_reference();
  const std::lock_guard lock(mutex_);
  --slots_being_made_;
  slots_.push_back({slot, core.mailbox()});
  return *slot;
}

void DeviceState::forget(ChannelSlot& slot) noexcept {
  const std::lock_guard lock(mutex_);
  std::erase_if(slots_, [&](const Holder& holder) { return holder.slot == &slot; });
  closed_stats_.add(slot.stats());
  closed_latencies_.add(slot.latencies());
  ++closed_channels_;
}

bool DeviceState::has_slot(const ChannelSlot& slot) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(slots_, [&](const Holder& holder) { return holder.slot == &slot; });
}

std::vector<DeviceState::Holder> DeviceState::holders() const {
  const std::lock_guard lock(mutex_);
  return slots_;
}

template <class F>
Task<> DeviceState::for_each_slot(F fn) {
  const auto self = shared_from_this();
  for (const Holder& holder : holders()) {
    auto step = on_slot(self, holder.slot, holder.mailbox, fn);
    co_await std::move(step);
  }
}

Task<Stats> DeviceState::stats() {
  Stats total;
  {
    const std::lock_guard lock(mutex_);
    total = closed_stats_;
  }
  for (const auto& channel : co_await stats_per_channel()) total.add(channel.stats);
  co_return total;
}

Task<std::vector<ChannelStats>> DeviceState::stats_per_channel() {
  std::vector<ChannelStats> all;
  auto collect = [&all](ChannelSlot& slot) -> Task<> {
    all.push_back({ThreadHandle{slot.core().mailbox()}, slot.stats(), slot.in_flight()});
    co_return;
  };
  co_await for_each_slot(collect);
  co_return all;
}

Task<DeviceTotals> DeviceState::totals() {
  DeviceTotals total;
  auto add = [&total](ChannelSlot& slot) -> Task<> {
    total.stats.add(slot.stats());
    total.latencies.add(slot.latencies());
    total.in_flight += slot.in_flight();
    ++total.channels;
    co_return;
  };
  // A channel that closes meanwhile would be missed or counted twice.
  for (int tries = 0; tries < 4; ++tries) {
    total = {};
    std::uint64_t closed = 0;
    {
      const std::lock_guard lock(mutex_);
      total.stats = closed_stats_;
      total.latencies = closed_latencies_;
      closed = closed_channels_;
    }
    co_await for_each_slot(add);
    const std::lock_guard lock(mutex_);
    if (closed == closed_channels_) break;
  }
  co_return total;
}

Task<> DeviceState::reset_stats() {
  {
    const std::lock_guard lock(mutex_);
    closed_stats_ = {};
    closed_latencies_.reset();
  }
  auto reset = [](ChannelSlot& slot) -> Task<> {
    slot.reset_stats();
    co_return;
  };
  co_await for_each_slot(reset);
}

Task<> DeviceState::enable_histogram(bool enable, std::uint32_t bucket_shift) {
  const LatencyHistogram check(bucket_shift);  // throws for a resolution that can't be
  histogram_shift_ = bucket_shift;
  histogram_enabled_ = enable;
  auto apply = [enable, bucket_shift](ChannelSlot& slot) -> Task<> {
    slot.enable_histogram(enable, bucket_shift);
    co_return;
  };
  co_await for_each_slot(apply);
}

Task<LatencyHistogram> DeviceState::histogram() {
  if (!histogram_enabled_) {
    throw Error(Misuse::invalid_argument, "the histogram is not enabled")
        .with_operation("histogram")
        .with_device(name_)
        .with_hint("enable it first: bdev_enable_histogram");
  }
  LatencyHistogram total(histogram_shift_);
  auto merge = [&total](ChannelSlot& slot) -> Task<> {
    if (slot.histogram() != nullptr) total.merge(*slot.histogram());
    co_return;
  };
  co_await for_each_slot(merge);
  co_return total;
}

// One step with `claim` and with the end of the device: either they know of the descriptor, or it of them.
void DeviceState::add_descriptor(DescState& desc) {
  const auto refuse = [this](Error error) -> Error { return error.with_operation("open").with_device(name_); };
  const bool writes = desc.access() == Access::read_write;
  if (writes && geometry_.read_only) throw refuse(Error(Misuse::read_only, "the device can't be written"));
  const std::lock_guard lock(mutex_);
  if (removed()) throw refuse(Error(std::errc::no_such_device, "the device was removed"));
  if (writes && claim_.type != Claim::none && claim_.type != Claim::read_many_write_shared) {
    throw refuse(Error(std::errc::operation_not_permitted,
                       fmt::format("claimed ({}) by {}", to_string(claim_.type), fmt::join(claim_.modules, ", "))));
  }
  descriptors_.push_back(&desc);
}

void DeviceState::remove_descriptor(DescState& desc) noexcept {
  const std::lock_guard lock(mutex_);
  std::erase(descriptors_, &desc);
}

std::size_t DeviceState::descriptor_count() const {
  const std::lock_guard lock(mutex_);
  return descriptors_.size();
}

void DeviceState::claim(Claim type, std::string module, std::uint64_t shared_key, DescState& by) {
  const std::lock_guard lock(mutex_);
  const bool joins = claim_.type == type && (type == Claim::read_many_write_none ||
                                             (type == Claim::read_many_write_shared && claim_key_ == shared_key));
  if (claim_.type != Claim::none && !joins) {
    throw Error(std::errc::operation_not_permitted,
                fmt::format("already claimed ({}) by {}", to_string(claim_.type), fmt::join(claim_.modules, ", ")))
        .with_operation("claim")
        .with_device(name_);
  }
  const bool others_write = std::ranges::any_of(descriptors_, [&](const DescState* desc) {
    return desc->access() == Access::read_write && (desc != &by || type == Claim::read_many_write_none);
  });
  if (claim_.type == Claim::none && others_write) {
    throw Error(std::errc::operation_not_permitted, "is open for writing").with_operation("claim").with_device(name_);
  }
  claim_.type = type;
  claim_.modules.push_back(std::move(module));
  claim_key_ = shared_key;
}

void DeviceState::release_claim(const std::string& module) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(claim_.modules, module);
  if (found != claim_.modules.end()) claim_.modules.erase(found);
  if (claim_.modules.empty()) claim_.type = Claim::none;
}

ClaimInfo DeviceState::claim_info() const {
  const std::lock_guard lock(mutex_);
  return claim_;
}

std::vector<std::shared_ptr<DescState>> DeviceState::descriptors() const {
  std::vector<std::shared_ptr<DescState>> descriptors;
  const std::lock_guard lock(mutex_);
  for (DescState* desc : descriptors_) {
    if (auto alive = desc->weak_from_this().lock()) descriptors.push_back(std::move(alive));
  }
  return descriptors;
}

void DeviceState::notify(const BdevEvent& event) {
  for (const auto& desc : descriptors()) desc->deliver(event);
}

void DeviceState::resize(BlockCount num_blocks) {
  num_blocks_.store(num_blocks.value, std::memory_order_relaxed);
  notify({.type = BdevEventType::resize, .num_blocks = num_blocks, .media = {}});
}

bool DeviceState::slot_being_made() const {
  const std::lock_guard lock(mutex_);
  return slots_being_made_ != 0;
}

Task<> DeviceState::retire() {
  {
    const std::lock_guard lock(mutex_);  // from now on `acquire_slot` refuses
    removed_.store(true, std::memory_order_release);
  }
  notify({.type = BdevEventType::remove, .num_blocks = {}, .media = {}});
  auto retire_slot = [](ChannelSlot& slot) -> Task<> {
    slot.add_reference();
    co_await slot.retire();
    slot.drop_reference();
  };
  while (slot_being_made()) co_await yield();
  co_await for_each_slot(retire_slot);
  for (const auto& desc : descriptors()) {
    if (const auto observer = desc->observer()) co_await observer->base_removed();
  }
  co_await device_->shut_down();
  std::unique_ptr<Device> device;
  {
    const std::lock_guard lock(mutex_);
    device = std::move(device_);
  }
}

}  // namespace spdkio::bdev
