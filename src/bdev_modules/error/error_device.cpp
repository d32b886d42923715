#include "bdev_modules/error/error_device.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace spdkio::bdev {
namespace {

/// What a request carries while the base has it, to be undone or done at its end.
struct Corruption {
  StackedChild* child;  // first, where StackedChannel keeps it
  std::uint64_t offset;
  std::uint8_t value;
  bool planned;
};

void flip(DmaSpans spans, std::uint64_t offset, std::uint8_t value) noexcept {
  for (const DmaSpan& span : spans) {
    if (offset < span.size()) {
      span.data()[offset] ^= std::byte{value};
      return;
    }
    offset -= span.size();
  }
}

constexpr std::string_view name_prefix = "EE_";

}  // namespace

ErrorChannel::ErrorChannel(ErrorDevice& device) : StackedChannel(device.base()), device_(device) {
  device_.channel_opened(*this);
}

ErrorChannel::~ErrorChannel() { device_.channel_closed(*this); }

void ErrorChannel::submit(Io& io) noexcept {
  auto& corruption = io.context<Corruption>();
  corruption = {};
  if (io.type == IoType::reset) end_pending(IoStatus::cancelled(Outcome::aborted));
  const auto rule = device_.injections().match(io, io.slot().in_flight());
  if (!rule) {
    forward(io, 0);
    return;
  }
  switch (rule->action) {
    case ErrorAction::fail: io.complete(rule->status); return;
    case ErrorAction::no_memory: io.complete(IoStatus::no_memory()); return;
    case ErrorAction::pending: io.next = std::exchange(pending_, &io); return;
    case ErrorAction::corrupt_data:
      corruption = {.child = nullptr,
                    .offset = rule->corrupt_offset,
                    .value = rule->corrupt_value != 0 ? rule->corrupt_value : std::uint8_t{0xFF},
                    .planned = true};
      if (io.type == IoType::write) flip(io.spans(), corruption.offset, corruption.value);
      forward(io, 0);
      return;
  }
}

void ErrorChannel::child_done(StackedChild& child) noexcept {
  Io& parent = *child.parent;
  // A write gets its own data back, a read gets data that is not the device's.
  if (const auto& corruption = parent.context<Corruption>(); corruption.planned) {
    flip(parent.spans(), corruption.offset, corruption.value);
  }
  finish(child);
}

void ErrorChannel::abort(Io& io) noexcept {
  for (Io** link = &pending_; *link != nullptr; link = &(*link)->next) {
    if (*link != &io) continue;
    *link = io.next;
    io.complete(IoStatus::cancelled(Outcome::aborted));
    return;
  }
  if (child_of(io) != nullptr) StackedChannel::abort(io);
}

void ErrorChannel::end_pending(IoStatus status) noexcept {
  Io* io = std::exchange(pending_, nullptr);
  while (io != nullptr) std::exchange(io, io->next)->complete(status);
}

ErrorDevice::ErrorDevice(std::string name, std::shared_ptr<StackedBase> base, const Uuid& uuid)
    : StackedDevice(std::move(name), "Error Injection Disk", geometry_of(base->device()), base) {
  set_uuid(uuid);
}

bool ErrorDevice::supports(IoType type) const noexcept {
  return type == IoType::abort || type == IoType::reset || StackedDevice::supports(type);
}

nlohmann::ordered_json ErrorDevice::driver_specific() const {
  return {{"error", {{"base_bdev", base().device().name()}}}};
}

nlohmann::ordered_json ErrorDevice::config() const {
  nlohmann::ordered_json params{{"base_name", base().device().name()}, {"uuid", uuid().to_string()}};
  if (name() != std::string{name_prefix} + base().device().name()) params["name"] = name();
  return {{"method", "bdev_error_create"}, {"params", std::move(params)}};
}

void ErrorDevice::channel_opened(ErrorChannel& channel) {
  const std::lock_guard lock(mutex_);
  channels_.push_back({&channel, CurrentThread::handle()});
}

void ErrorDevice::channel_closed(ErrorChannel& channel) noexcept {
  const std::lock_guard lock(mutex_);
  std::erase_if(channels_, [&](const Opened& opened) { return opened.channel == &channel; });
}

Task<> ErrorDevice::clear() {
  injections_.clear();
  std::vector<Opened> channels;
  {
    const std::lock_guard lock(mutex_);
    channels = channels_;
  }
  for (const Opened& opened : channels) co_await end_pending_of(opened);
}

Task<> ErrorDevice::end_pending_of(Opened opened) {
  co_await resume_on(opened.thread);
  {
    const std::lock_guard lock(mutex_);
    const bool still_open =
        std::ranges::any_of(channels_, [&](const Opened& candidate) { return candidate.channel == opened.channel; });
    if (!still_open) co_return;
  }
  // Channels are closed on this Thread alone, so that it stays.
  opened.channel->end_pending(IoStatus::cancelled(Outcome::aborted));
}

}  // namespace spdkio::bdev
