// bdev_* that are about any device; those that create and delete belong to the modules.
#include <spdkio/base/base64.hpp>
#include <spdkio/base/clock.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/rpc/error.hpp>
#include <spdkio/rpc/params.hpp>

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/app_runtime.hpp"
#include "app/rpc/bdev_json.hpp"
#include "app/rpc/methods.hpp"

namespace spdkio::app {

enum class ResetMode : std::uint8_t { all, maxmin, error, none };
std::span<const rpc::EnumName<ResetMode>> rpc_names(ResetMode) {
  static constexpr std::array<rpc::EnumName<ResetMode>, 4> names{
      {{"all", ResetMode::all}, {"maxmin", ResetMode::maxmin}, {"error", ResetMode::error}, {"none", ResetMode::none}}};
  return names;
}

namespace {

using DevicePtr = std::shared_ptr<bdev::DeviceState>;

DevicePtr require_device(const std::string& name) {
  DevicePtr device = bdev::Service::current().find(name);
  if (device == nullptr) throw Error(std::errc::no_such_device, "there is no such block device").with_device(name);
  return device;
}

struct GetBdevs {
  std::optional<std::string> name;
  std::uint64_t timeout_ms = 0;
  void fields(rpc::Params& p) {
    p.optional("name", &name, "Only this device")
        .optional("timeout", &timeout_ms, "Milliseconds to wait for a device of that name to appear");
  }
};

Task<Json> get_bdevs(GetBdevs wanted) {
  Json out = Json::array();
  if (!wanted.name) {
    for (const DevicePtr& device : bdev::Service::current().list()) out.push_back(bdev_to_json(*device));
    co_return out;
  }
  DevicePtr device = bdev::Service::current().find(*wanted.name);
  if (device == nullptr && wanted.timeout_ms > 0) {
    // A century is for ever, and still fits in nanoseconds.
    constexpr std::uint64_t longest_ms = 100ULL * 365 * 24 * 3600 * 1000;
    const std::chrono::milliseconds limit{std::min(wanted.timeout_ms, longest_ms)};
    bool timed_out = false;
    try {
      device = co_await bdev::Service::current().wait_for(*wanted.name, limit);
    } catch (const Error& error) {
      if (error.code() != std::errc::timed_out) throw;
      timed_out = true;
    }
    if (timed_out) device = nullptr;  // the answer is the same as without a timeout
  }
  if (device == nullptr) device = require_device(*wanted.name);
  out.push_back(bdev_to_json(*device));
  co_return out;
}

void require_plain_reset(ResetMode mode) {
  if (mode == ResetMode::all || mode == ResetMode::none) return;
  throw Error(std::errc::operation_not_supported, "counters can be reset all together or not at all")
      .with_hint("use mode 'all' or 'none'");
}

struct GetIostat {
  std::optional<std::string> name;
  std::optional<std::vector<std::string>> names;
  bool per_channel = false;
  ResetMode reset_mode = ResetMode::none;
  void fields(rpc::Params& p) {
    p.optional("names", &names, "Only these devices")
        .optional("name", &name, "Only this device; the parameter of versions before 'names'")
        .optional("per_channel", &per_channel, "The counters of each thread, of one device")
        .optional("reset_mode", &reset_mode, "What to reset after reading");
  }
};

Task<Json> get_iostat(GetIostat wanted) {
  require_plain_reset(wanted.reset_mode);
  if (wanted.name && wanted.names) throw rpc::RpcError::invalid_params("'name' and 'names' are both given");
  if (wanted.name) wanted.names = std::vector{*wanted.name};
  if (wanted.per_channel && (!wanted.names || wanted.names->size() != 1)) {
    throw Error(std::errc::invalid_argument, "'per_channel' needs the name of exactly one device");
  }
  std::vector<DevicePtr> devices;
  if (wanted.names) {
    for (const std::string& name : *wanted.names) devices.push_back(require_device(name));
  } else {
    devices = bdev::Service::current().list();
  }

  Json out = Json::object();
  out["tick_rate"] = ticks_per_second();
  out["ticks"] = ticks();
  if (wanted.per_channel) {
    Json channels = Json::array();
    for (const bdev::ChannelStats& channel : co_await devices.front()->stats_per_channel()) {
      Json entry = Json::object();
      entry["thread_id"] = std::to_underlying(channel.thread.id());
      stats_to_json(channel.stats, entry);
      channels.push_back(std::move(entry));
    }
    out["name"] = devices.front()->name();
    out["channels"] = std::move(channels);
  } else {
    Json bdevs = Json::array();
    for (const DevicePtr& device : devices) {
      const bdev::Stats stats = co_await device->stats();
      Json entry = Json::object();
      entry["name"] = device->name();
      stats_to_json(stats, entry);
      bdevs.push_back(std::move(entry));
    }
    out["bdevs"] = std::move(bdevs);
  }
  if (wanted.reset_mode == ResetMode::all) {
    for (const DevicePtr& device : devices) co_await device->reset_stats();
  }
  co_return out;
}

struct ResetIostat {
  std::optional<std::string> name;
  ResetMode mode = ResetMode::all;
  void fields(rpc::Params& p) {
    p.optional("name", &name, "Only this device").optional("mode", &mode, "What to reset");
  }
};

Task<Json> reset_iostat(ResetIostat wanted) {
  require_plain_reset(wanted.mode);
  std::vector<DevicePtr> devices;
  if (wanted.name) {
    devices.push_back(require_device(*wanted.name));
  } else {
    devices = bdev::Service::current().list();
  }
  if (wanted.mode == ResetMode::all) {
    for (const DevicePtr& device : devices) co_await device->reset_stats();
  }
  co_return true;
}

struct EnableHistogram {
  std::string name;
  bool enable = false;
  std::uint8_t granularity = LatencyHistogram::default_bucket_shift;
  std::optional<std::string> opc;
  std::uint64_t min_nsec = 1000;
  std::uint64_t max_nsec = 120'000'000'000;
  void fields(rpc::Params& p) {
    p.required("name", &name, "Name of the device")
        .required("enable", &enable, "Measure every operation, or no more")
        .optional("opc", &opc, "Not supported: all operations are measured")
        .optional("granularity", &granularity, "Buckets per power of two, as a power of two")
        .optional("min_nsec", &min_nsec, "Has no effect: everything is counted")
        .optional("max_nsec", &max_nsec, "Has no effect: everything is counted");
    p.check(granularity >= LatencyHistogram::min_bucket_shift && granularity <= LatencyHistogram::max_bucket_shift,
            "granularity",
            fmt::format("must be {} to {}", LatencyHistogram::min_bucket_shift, LatencyHistogram::max_bucket_shift));
    p.check(!opc, "opc", "is not supported: all operations are measured together");
  }
};

Task<Json> enable_histogram(EnableHistogram wanted) {
  co_await require_device(wanted.name)->enable_histogram(wanted.enable, wanted.granularity);
  co_return true;
}

struct GetHistogram {
  std::string name;
  void fields(rpc::Params& p) { p.required("name", &name, "Name of the device"); }
};

Task<Json> get_histogram(GetHistogram wanted) {
  const LatencyHistogram histogram = co_await require_device(wanted.name)->histogram();
  Json out = Json::object();
  out["histogram"] = base64_encode(std::as_bytes(histogram.counts()));
  out["granularity"] = histogram.bucket_shift();
  out["min_range"] = 0;
  out["max_range"] = histogram.num_ranges() - 1;
  out["tsc_rate"] = ticks_per_second();
  co_return out;
}

/// Creating a device examines it before it answers, and methods of one configuration run one after the other.
Task<Json> wait_for_examine() { co_return true; }

struct SetOptions {
  std::optional<std::uint32_t> bdev_io_pool_size;
  std::optional<std::uint32_t> bdev_io_cache_size;
  bool bdev_auto_examine = true;
  std::optional<std::uint32_t> iobuf_small_cache_size;
  std::optional<std::uint32_t> iobuf_large_cache_size;
  void fields(rpc::Params& p) {
    p.optional("bdev_io_pool_size", &bdev_io_pool_size, "Has no effect: requests live where they are waited for")
        .optional("bdev_io_cache_size", &bdev_io_cache_size, "Has no effect")
        .optional("bdev_auto_examine", &bdev_auto_examine, "Whether new devices are searched for lvol stores")
        .optional("iobuf_small_cache_size", &iobuf_small_cache_size, "Has no effect")
        .optional("iobuf_large_cache_size", &iobuf_large_cache_size, "Has no effect");
  }
};

/// Sizes of pools that this block layer does not have; accepted so that SPDK's configurations load.
Task<Json> set_options(detail::AppRuntime& app, SetOptions options) {
  app.lvols().set_examining(options.bdev_auto_examine);
  co_return true;
}

}  // namespace

void register_bdev_methods(rpc::MethodTable& table, detail::AppRuntime& app) {
  table.add<GetBdevs>("bdev_get_bdevs", "Block devices and what they can do", get_bdevs);
  table.add<GetIostat>("bdev_get_iostat", "Counters of block devices", get_iostat);
  table.add<ResetIostat>("bdev_reset_iostat", "Set counters to zero", reset_iostat);
  table.add<EnableHistogram>("bdev_enable_histogram", "Measure the latency of every operation", enable_histogram);
  table.add<GetHistogram>("bdev_get_histogram", "Latencies measured so far", get_histogram);
  table.add("bdev_wait_for_examine", "Wait until new devices have been examined", wait_for_examine);
  table.add<SetOptions>(
      "bdev_set_options", "Options of the block layer",
      [&app](SetOptions options) { return set_options(app, options); }, rpc::RpcStates::startup);
}

}  // namespace spdkio::app
