// ZoneTable: state and write pointer of every zone, after the NVMe Zoned Namespace Command Set, "Zone State Machine".
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/bdev/io.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace spdkio::bdev {

/// Any Thread. Zones have locks of their own; only when open or active zones are limited do writes of different zones
/// meet in one.
class ZoneTable {
 public:
  struct Layout {
    std::uint64_t zone_size;  ///< blocks
    std::uint64_t capacity;   ///< blocks, at most the size
    std::uint64_t zone_count;
  };
  /// 0: no limit.
  struct Limits {
    std::uint32_t open = 0;
    std::uint32_t active = 0;
  };
  /// All zones are full.
  ZoneTable(const Layout& layout, const Limits& limits);

  const Layout& layout() const noexcept { return layout_; }
  /// Fills `out` from the zone that holds `from`; gives how many.
  std::uint32_t report(Lba from, std::span<ZoneInfo> out) const noexcept;

  struct Read {
    IoStatus status;
    std::uint64_t written = 0;  ///< that many blocks of the range, from its start, hold data
  };
  Read begin_read(LbaRange range) const noexcept;

  struct Write {
    IoStatus status;  ///< `no_memory`: not before a reset has ended
    Lba first{};      ///< where to write
  };
  /// Moves the write pointer. After success comes `end_write`, whether the data was written or not.
  Write begin_write(LbaRange range) noexcept;
  Write begin_append(Lba zone, BlockCount count) noexcept;
  void end_write(Lba first) noexcept;

  IoStatus open(Lba zone) noexcept;
  IoStatus close(Lba zone) noexcept;
  IoStatus finish(Lba zone) noexcept;

  struct Reset {
    IoStatus status;     ///< `no_memory`: not before writes or another reset have ended
    LbaRange written{};  ///< what to give back first; empty: the zone has been reset
  };
  Reset begin_reset(Lba zone) noexcept;
  /// Only after a `begin_reset` that gave something to give back. Unless `done`, the zone is as it was.
  void end_reset(Lba zone, bool done) noexcept;

 private:
  using State = ZoneInfo::State;
  struct Zone {
    std::mutex mutex;
    State state = State::full;
    bool resetting = false;
    std::atomic<std::uint32_t> writes{0};   ///< in flight
    std::atomic<std::uint64_t> written{0};  ///< blocks from the start; less than the write pointer after `finish`
    std::uint64_t write_pointer = 0;        ///< blocks from the start
  };
  static bool is_open(State state) noexcept;
  static bool is_active(State state) noexcept;

  Zone& zone_of(Lba lba) const noexcept { return zones_[lba.value / layout_.zone_size]; }
  /// The zone that begins there.
  Zone* find(Lba start) const noexcept;
  std::unique_lock<std::mutex> lock_limits() noexcept;
  Write advance(Zone& zone, std::uint64_t start, std::uint64_t count, std::optional<std::uint64_t> at) noexcept;
  /// Whether `zone`, which is not open, may be: closes another that was opened by a write if that makes room. `lock` is
  /// that of the zone.
  IoStatus make_room_for(const Zone& zone, std::unique_lock<std::mutex>& lock) noexcept;
  void enter(Zone& zone, State state) noexcept;
  void make_empty(Zone& zone) noexcept;

  Layout layout_;
  Limits limits_;
  std::unique_ptr<Zone[]> zones_;
  // With limits; locked before a zone.
  std::mutex mutex_;
  std::uint32_t open_ = 0;
  std::uint32_t active_ = 0;
  std::vector<Zone*> implicitly_open_;  ///< the longest open first; only with a limit for open zones
};

}  // namespace spdkio::bdev
