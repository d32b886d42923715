// TraceRing: the recent events of one Thread, kept while tracing is on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::detail {

/// Groups of events that can be recorded separately; the bits of a mask.
enum class TraceGroup : std::uint32_t {
  thread = 1,  ///< rounds of a Thread that did something
  task = 2,    ///< turns of coroutines
  bdev = 4,    ///< requests to block devices
};
constexpr std::uint32_t all_trace_groups = 7;

/// Something that began at `begin_ticks` and took `duration_ticks`, or one moment.
struct TraceEvent {
  std::uint64_t begin_ticks = 0;
  std::uint64_t duration_ticks = 0;
  const char* name = nullptr;           ///< a literal
  const std::string* object = nullptr;  ///< what it was done to; kept by the ring. Null: nothing
  std::uint64_t first = 0;              ///< bdev: first block; thread: amount of work
  std::uint64_t second = 0;             ///< bdev: number of blocks
  TraceGroup group{};
  bool overlaps = false;  ///< other events of the Thread may begin before its end and end after it
};

/// The newest `capacity` events. Everything on its Thread; recording stores into memory allocated at the start.
class TraceRing {
 public:
  /// `capacity` is rounded up to a power of two.
  TraceRing(std::uint32_t groups, std::size_t capacity);

  bool wants(TraceGroup group) const noexcept { return (groups_ & static_cast<std::uint32_t>(group)) != 0; }
  std::uint32_t groups() const noexcept { return groups_; }
  void set_groups(std::uint32_t groups) noexcept { groups_ = groups; }
  void record(const TraceEvent& event) noexcept {
    events_[recorded_ & mask_] = event;
    ++recorded_;
  }
  /// A copy of `name` that stays as long as the ring.
  const std::string* keep(std::string_view name);
  /// Since the start; those beyond the capacity are lost.
  std::uint64_t recorded() const noexcept { return recorded_; }
  std::size_t capacity() const noexcept { return events_.size(); }
  /// The number of the oldest that is still there, counted from the start.
  std::uint64_t oldest() const noexcept { return recorded_ > events_.size() ? recorded_ - events_.size() : 0; }
  /// Event `number`, of those from `oldest()` up to `recorded()`.
  const TraceEvent& event(std::uint64_t number) const noexcept { return events_[number & mask_]; }

 private:
  std::vector<TraceEvent> events_;
  std::uint64_t mask_;
  std::uint64_t recorded_ = 0;
  std::uint32_t groups_;
  std::deque<std::string> names_;
};

}  // namespace spdkio::detail
