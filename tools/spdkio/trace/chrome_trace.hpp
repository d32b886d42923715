// Recorded events in the JSON format of Chrome's trace viewer, which Perfetto reads too.
#pragma once

#include <spdkio/rpc/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace spdkio::tool {

/// Builds the text piece by piece, since a trace may be long. Times count from the first event that is added.
class ChromeTrace {
 public:
  ChromeTrace(std::uint64_t pid, std::string_view process_name, double ticks_per_second);

  void add_thread(std::uint64_t thread_id, std::string_view name);
  /// An entry of `trace_get_events`. Returns false for what is none.
  bool add_event(std::uint64_t thread_id, const Json& event);
  std::uint64_t events() const noexcept { return events_; }
  /// The whole file.
  std::string finish();

 private:
  void add(const Json& entry);
  double microseconds(std::uint64_t ticks);

  std::uint64_t pid_;
  double ticks_per_microsecond_;
  std::uint64_t first_ticks_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t last_span_ = 0;
  std::string text_;
};

}  // namespace spdkio::tool
