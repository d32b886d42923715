// What a running program did between two looks at its counters.
#pragma once

#include <spdkio/rpc/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace spdkio::tool {

/// The answers of one look.
struct TopLook {
  Json iostat;    ///< of bdev_get_iostat
  Json threads;   ///< of thread_get_stats
  Json reactors;  ///< of framework_get_reactors
};

struct TopDevice {
  std::string name;
  double read_iops = 0;
  double write_iops = 0;
  double other_iops = 0;  ///< unmap and copy
  double read_bytes_s = 0;
  double write_bytes_s = 0;
  double read_latency_us = 0;  ///< mean of the interval; 0 without reads
  double write_latency_us = 0;
};

struct TopThread {
  std::string name;
  std::uint64_t id = 0;
  std::uint64_t core = 0;
  double busy = 0;  ///< share of the interval, 0 to 1
  std::uint64_t pollers = 0;
};

struct TopReactor {
  std::uint64_t core = 0;
  double busy = 0;
  bool sleeping = false;
};

struct TopRates {
  double seconds = 0;
  std::vector<TopDevice> devices;
  std::vector<TopThread> threads;
  std::vector<TopReactor> reactors;
};

/// Rates from `before` to `after`; what was not there before is left out, and so is a device whose counters were reset
/// in between. Throws Failure when the answers are not what those methods give.
TopRates top_rates(const TopLook& before, const TopLook& after);

Json top_to_json(const TopRates& rates);

}  // namespace spdkio::tool
