#include "spdkio/top/top_sample.hpp"

#include "spdkio/cli/failure.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace spdkio::tool {
namespace {

const Json* with_value(const Json& list, const char* key, const Json& value) {
  for (const Json& entry : list) {
    if (entry.at(key) == value) return &entry;
  }
  return nullptr;
}

/// How much a counter has grown; negative when it was reset.
double growth(const Json& before, const Json& after, const char* key) {
  return after.value(key, 0.0) - before.value(key, 0.0);
}

/// SPDK names the counters of an operation in two ways.
double operations(const Json& before, const Json& after, const char* name) {
  return growth(before, after, fmt::format("num_{}_ops", name).c_str());
}

double mean_latency_us(const Json& before, const Json& after, const char* name, double ticks_per_second) {
  const double count = operations(before, after, name);
  if (count <= 0) return 0;
  const double ticks = growth(before, after, fmt::format("{}_latency_ticks", name).c_str());
  return std::max(0.0, ticks / count / ticks_per_second * 1e6);
}

double busy_share(const Json& before, const Json& after) {
  const double busy = growth(before, after, "busy");
  const double idle = growth(before, after, "idle");
  return busy + idle <= 0 ? 0 : std::clamp(busy / (busy + idle), 0.0, 1.0);
}

void add_devices(const TopLook& before, const TopLook& after, TopRates& rates) {
  const double ticks_per_second = after.iostat.at("tick_rate").get<double>();
  for (const Json& now : after.iostat.at("bdevs")) {
    const Json* const then = with_value(before.iostat.at("bdevs"), "name", now.at("name"));
    if (then == nullptr) continue;
    const double reads = operations(*then, now, "read");
    const double writes = operations(*then, now, "write");
    const double others = operations(*then, now, "unmap") + operations(*then, now, "copy");
    if (reads < 0 || writes < 0 || others < 0) continue;
    rates.devices.push_back({.name = now.at("name").get<std::string>(),
                             .read_iops = reads / rates.seconds,
                             .write_iops = writes / rates.seconds,
                             .other_iops = others / rates.seconds,
                             .read_bytes_s = growth(*then, now, "bytes_read") / rates.seconds,
                             .write_bytes_s = growth(*then, now, "bytes_written") / rates.seconds,
                             .read_latency_us = mean_latency_us(*then, now, "read", ticks_per_second),
                             .write_latency_us = mean_latency_us(*then, now, "write", ticks_per_second)});
  }
}

/// The core that a thread runs on; of a thread that has moved or is new, what the later look says.
std::uint64_t core_of(const Json& reactors, const Json& id) {
  for (const Json& reactor : reactors) {
    if (with_value(reactor.at("lw_threads"), "id", id) != nullptr) return reactor.at("lcore").get<std::uint64_t>();
  }
  return 0;
}

TopRates rates_between(const TopLook& before, const TopLook& after) {
  TopRates rates;
  const double ticks = growth(before.iostat, after.iostat, "ticks");
  rates.seconds = ticks / after.iostat.at("tick_rate").get<double>();
  if (!(rates.seconds > 0)) throw Failure("no time has passed between the two looks");
  add_devices(before, after, rates);
  for (const Json& now : after.threads.at("threads")) {
    const Json* const then = with_value(before.threads.at("threads"), "id", now.at("id"));
    if (then == nullptr) continue;
    rates.threads.push_back({.name = now.at("name").get<std::string>(),
                             .id = now.at("id").get<std::uint64_t>(),
                             .core = core_of(after.reactors.at("reactors"), now.at("id")),
                             .busy = busy_share(*then, now),
                             .pollers = now.value("active_pollers_count", std::uint64_t{0}) +
                                        now.value("timed_pollers_count", std::uint64_t{0})});
  }
  for (const Json& now : after.reactors.at("reactors")) {
    const Json* const then = with_value(before.reactors.at("reactors"), "lcore", now.at("lcore"));
    if (then == nullptr) continue;
    rates.reactors.push_back({.core = now.at("lcore").get<std::uint64_t>(),
                              .busy = busy_share(*then, now),
                              .sleeping = now.value("in_interrupt", false)});
  }
  return rates;
}

}  // namespace

TopRates top_rates(const TopLook& before, const TopLook& after) {
  try {
    return rates_between(before, after);
  } catch (const Json::exception& error) {
    throw Failure(fmt::format("the server's answer is not understood: {}", error.what()));
  }
}

Json top_to_json(const TopRates& rates) {
  Json out = {{"seconds", rates.seconds}};
  Json devices = Json::array();
  for (const TopDevice& device : rates.devices) {
    devices.push_back({{"name", device.name},
                       {"read_iops", device.read_iops},
                       {"write_iops", device.write_iops},
                       {"other_iops", device.other_iops},
                       {"read_bytes_per_second", device.read_bytes_s},
                       {"write_bytes_per_second", device.write_bytes_s},
                       {"read_latency_us", device.read_latency_us},
                       {"write_latency_us", device.write_latency_us}});
  }
  Json threads = Json::array();
  for (const TopThread& thread : rates.threads) {
    threads.push_back({{"name", thread.name},
                       {"id", thread.id},
                       {"core", thread.core},
                       {"busy", thread.busy},
                       {"pollers", thread.pollers}});
  }
  Json reactors = Json::array();
  for (const TopReactor& reactor : rates.reactors) {
    reactors.push_back({{"core", reactor.core}, {"busy", reactor.busy}, {"sleeping", reactor.sleeping}});
  }
  out["devices"] = std::move(devices);
  out["threads"] = std::move(threads);
  out["reactors"] = std::move(reactors);
  return out;
}

}  // namespace spdkio::tool
