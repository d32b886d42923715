#include "bdev_modules/zone_block/zone_table.hpp"

#include <spdkio/bdev/zone_status.hpp>

#include <algorithm>

namespace spdkio::bdev {
namespace {

/// Asking again gives the same answer.
IoStatus refuse(NvmeStatus status) noexcept {
  status.dnr = true;
  return IoStatus::nvme(status);
}

/// The block layer submits the request again, in its turn.
constexpr IoStatus later = IoStatus::no_memory();

}  // namespace

ZoneTable::ZoneTable(const Layout& layout, const Limits& limits)
    : layout_(layout), limits_(limits), zones_(std::make_unique<Zone[]>(layout.zone_count)) {
  for (Zone& zone : std::span(zones_.get(), layout_.zone_count)) zone.written = zone.write_pointer = layout_.capacity;
  if (limits_.open != 0) implicitly_open_.reserve(std::min<std::uint64_t>(limits_.open, layout_.zone_count));
}

bool ZoneTable::is_open(State state) noexcept {
  return state == State::implicitly_open || state == State::explicitly_open;
}

bool ZoneTable::is_active(State state) noexcept { return is_open(state) || state == State::closed; }

ZoneTable::Zone* ZoneTable::find(Lba start) const noexcept {
  const std::uint64_t index = start.value / layout_.zone_size;
  return start.value % layout_.zone_size == 0 && index < layout_.zone_count ? &zones_[index] : nullptr;
}

std::unique_lock<std::mutex> ZoneTable::lock_limits() noexcept {
  const bool limited = limits_.open != 0 || limits_.active != 0;
  return limited ? std::unique_lock(mutex_) : std::unique_lock<std::mutex>();
}

std::uint32_t ZoneTable::report(Lba from, std::span<ZoneInfo> out) const noexcept {
  std::uint64_t index = from.value / layout_.zone_size;
  std::uint32_t count = 0;
  for (; count < out.size() && index < layout_.zone_count; ++index, ++count) {
    Zone& zone = zones_[index];
    const std::lock_guard lock(zone.mutex);
    const std::uint64_t start = index * layout_.zone_size;
    out[count] = {.zone = {Lba{start}, BlockCount{layout_.zone_size}},
                  .capacity = BlockCount{layout_.capacity},
                  .write_pointer = Lba{start + zone.write_pointer},
                  .state = zone.state};
  }
  return count;
}

ZoneTable::Read ZoneTable::begin_read(LbaRange range) const noexcept {
  const std::uint64_t offset = range.first.value % layout_.zone_size;
  if (range.count.value > layout_.zone_size - offset) return {refuse(nvme_sc::zone_boundary_error)};
  const std::uint64_t written = zone_of(range.first).written.load(std::memory_order_acquire);
  return {IoStatus::success(), written > offset ? std::min(written - offset, range.count.value) : 0};
}

ZoneTable::Write ZoneTable::begin_write(LbaRange range) noexcept {
  const std::uint64_t offset = range.first.value % layout_.zone_size;
  return advance(zone_of(range.first), range.first.value - offset, range.count.value, offset);
}

ZoneTable::Write ZoneTable::begin_append(Lba zone, BlockCount count) noexcept {
  Zone* const found = find(zone);
  if (found == nullptr) return {refuse(nvme_sc::invalid_field)};
  return advance(*found, zone.value, count.value, std::nullopt);
}

ZoneTable::Write ZoneTable::advance(Zone& zone, std::uint64_t start, std::uint64_t count,
                                    std::optional<std::uint64_t> at) noexcept {
  const auto limits = lock_limits();
  std::unique_lock lock(zone.mutex);
  if (zone.resetting) return {later};
  if (zone.state == State::full) return {refuse(nvme_sc::zone_is_full)};
  const std::uint64_t first = at.value_or(zone.write_pointer);
  if (first > layout_.capacity || count > layout_.capacity - first) return {refuse(nvme_sc::zone_boundary_error)};
  if (first != zone.write_pointer) return {refuse(nvme_sc::zone_invalid_write)};
  if (!is_open(zone.state)) {
    const IoStatus room = make_room_for(zone, lock);
    if (!room.ok()) return {room};
    enter(zone, State::implicitly_open);
  }
  zone.writes.fetch_add(1, std::memory_order_relaxed);
  zone.write_pointer += count;
  zone.written.store(zone.write_pointer, std::memory_order_release);
  if (zone.write_pointer == layout_.capacity) enter(zone, State::full);
  return {IoStatus::success(), Lba{start + first}};
}

void ZoneTable::end_write(Lba first) noexcept { zone_of(first).writes.fetch_sub(1, std::memory_order_release); }

IoStatus ZoneTable::open(Lba start) noexcept {
  Zone* const zone = find(start);
  if (zone == nullptr) return refuse(nvme_sc::invalid_field);
  const auto limits = lock_limits();
  std::unique_lock lock(zone->mutex);
  if (zone->resetting) return later;
  if (zone->state == State::full) return refuse(nvme_sc::invalid_zone_state_transition);
  if (!is_open(zone->state)) {
    const IoStatus room = make_room_for(*zone, lock);
    if (!room.ok()) return room;
  }
  enter(*zone, State::explicitly_open);
  return IoStatus::success();
}

IoStatus ZoneTable::close(Lba start) noexcept {
  Zone* const zone = find(start);
  if (zone == nullptr) return refuse(nvme_sc::invalid_field);
  const auto limits = lock_limits();
  const std::lock_guard lock(zone->mutex);
  if (zone->resetting) return later;
  if (!is_active(zone->state)) return refuse(nvme_sc::invalid_zone_state_transition);
  enter(*zone, State::closed);
  return IoStatus::success();
}

IoStatus ZoneTable::finish(Lba start) noexcept {
  Zone* const zone = find(start);
  if (zone == nullptr) return refuse(nvme_sc::invalid_field);
  const auto limits = lock_limits();
  const std::lock_guard lock(zone->mutex);
  if (zone->resetting) return later;
  zone->write_pointer = layout_.capacity;
  enter(*zone, State::full);
  return IoStatus::success();
}

ZoneTable::Reset ZoneTable::begin_reset(Lba start) noexcept {
  Zone* const zone = find(start);
  if (zone == nullptr) return {refuse(nvme_sc::invalid_field)};
  const auto limits = lock_limits();
  const std::lock_guard lock(zone->mutex);
  // A write that is still on its way must not land on what is written after the reset.
  if (zone->resetting || zone->writes.load(std::memory_order_acquire) != 0) return {later};
  const std::uint64_t written = zone->written.load(std::memory_order_relaxed);
  if (written == 0) {
    make_empty(*zone);
    return {IoStatus::success()};
  }
  zone->resetting = true;
  return {IoStatus::success(), {start, BlockCount{written}}};
}

void ZoneTable::end_reset(Lba start, bool done) noexcept {
  Zone& zone = zone_of(start);
  const auto limits = lock_limits();
  const std::lock_guard lock(zone.mutex);
  zone.resetting = false;
  if (done) make_empty(zone);
}

void ZoneTable::make_empty(Zone& zone) noexcept {
  zone.write_pointer = 0;
  zone.written.store(0, std::memory_order_release);
  enter(zone, State::empty);
}

IoStatus ZoneTable::make_room_for(const Zone& zone, std::unique_lock<std::mutex>& lock) noexcept {
  if (limits_.active != 0 && !is_active(zone.state) && active_ >= limits_.active) {
    return refuse(nvme_sc::too_many_active_zones);
  }
  if (limits_.open == 0 || open_ < limits_.open) return IoStatus::success();
  if (implicitly_open_.empty()) return refuse(nvme_sc::too_many_open_zones);
  // Never two zones at once. Nobody changes `zone` meanwhile: that takes the limits, which the caller holds.
  lock.unlock();
  {
    Zone& oldest = *implicitly_open_.front();
    const std::lock_guard lock_oldest(oldest.mutex);
    enter(oldest, State::closed);
  }
  lock.lock();
  return IoStatus::success();
}

void ZoneTable::enter(Zone& zone, State state) noexcept {
  if (limits_.open != 0 || limits_.active != 0) {
    open_ = open_ - (is_open(zone.state) ? 1 : 0) + (is_open(state) ? 1 : 0);
    active_ = active_ - (is_active(zone.state) ? 1 : 0) + (is_active(state) ? 1 : 0);
  }
  if (limits_.open != 0) {
    if (zone.state == State::implicitly_open) std::erase(implicitly_open_, &zone);
    if (state == State::implicitly_open) implicitly_open_.push_back(&zone);
  }
  zone.state = state;
}

}  // namespace spdkio::bdev
