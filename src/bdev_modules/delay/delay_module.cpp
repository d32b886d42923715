#include <spdkio/bdev_modules/delay.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <utility>

#include "bdev_modules/stacked/stacked_device.hpp"
#include "bdev_modules/stacked/stacked_methods.hpp"

namespace spdkio::bdev {
namespace {

using std::chrono::microseconds;

enum Which : std::size_t { average_read, p99_read, average_write, p99_write };
constexpr std::array<std::string_view, 4> which_names{"avg_read", "p99_read", "avg_write", "p99_write"};

std::array<microseconds, 4> as_array(const DelayLatencies& latencies) {
  return {latencies.average_read, latencies.p99_read, latencies.average_write, latencies.p99_write};
}

void check_latencies(std::string_view name, const std::array<microseconds, 4>& latencies) {
  for (std::size_t i = 0; i < latencies.size(); ++i) {
    if (latencies[i] < microseconds::zero()) refuse_option(name, which_names[i], "must not be negative");
  }
  for (const std::size_t average : {average_read, average_write}) {
    if (latencies[average + 1] < latencies[average]) {
      refuse_option(name, which_names[average + 1], "must not be below the average");
    }
  }
}

/// Microseconds; read by every channel, changed by `set_delay`.
using Latencies = std::array<std::atomic<std::int64_t>, 4>;

class DelayChannel final : public StackedChannel {
 public:
  DelayChannel(const StackedBase& base, const Latencies& latencies)
      : StackedChannel(base), latencies_(latencies), core_(detail::ThreadCore::require_current("io_channel")) {}
  ~DelayChannel() override = default;

  void abort(Io& io) noexcept override {
    StackedChild& child = *child_of(io);
    if (!child.queued()) {
      StackedChannel::abort(io);
      return;
    }
    // The base has executed it; what is given up is only the waiting.
    release(child, IoStatus::cancelled(Outcome::may_have_executed));
  }
  void device_removed() noexcept override {
    removed_ = true;  // nor does what the base still has wait afterwards
    while (waiting_ != nullptr) release(*waiting_, status_of(*waiting_));
  }

 private:
  void child_done(StackedChild& child) noexcept override {
    const auto delay = delay_of(child.type);
    if (delay <= microseconds::zero()) {
      finish(child);
      return;
    }
    child.fire = on_fire;
    child.previous_child = nullptr;
    child.next_child = waiting_;
    if (waiting_ != nullptr) waiting_->previous_child = &child;
    waiting_ = &child;
    core_.add_timer(child, delay);
  }
  static void on_fire(detail::TimerNode& node) noexcept {
    auto& child = static_cast<StackedChild&>(node);
    static_cast<DelayChannel*>(child.channel)->release(child, status_of(child));
  }
  void release(StackedChild& child, IoStatus status) noexcept {
    if (child.queued()) core_.cancel_timer(child);
    (child.previous_child != nullptr ? child.previous_child->next_child : waiting_) = child.next_child;
    if (child.next_child != nullptr) child.next_child->previous_child = child.previous_child;
    finish(child, status);
  }
  microseconds delay_of(IoType type) noexcept {
    if (removed_) return microseconds::zero();
    std::size_t average;
    switch (type) {
      case IoType::read:
      case IoType::compare:
      case IoType::seek_data:
      case IoType::seek_hole: average = average_read; break;
      case IoType::write:
      case IoType::write_zeroes:
      case IoType::unmap:
      case IoType::compare_and_write:
      case IoType::copy:
      case IoType::zone_append: average = average_write; break;
      default: return microseconds::zero();
    }
    auto& count = counts_[average / 2];
    const bool slow = ++count % 100 == 0;
    return microseconds{latencies_[average + (slow ? 1 : 0)].load(std::memory_order_relaxed)};
  }

  const Latencies& latencies_;
  detail::ThreadCore& core_;
  StackedChild* waiting_ = nullptr;
  bool removed_ = false;
  std::array<std::uint64_t, 2> counts_{};
};

class DelayDevice final : public StackedDevice {
 public:
  DelayDevice(std::string name, std::shared_ptr<StackedBase> base, const std::array<microseconds, 4>& latencies,
              const Uuid& uuid)
      : StackedDevice(std::move(name), "delay", geometry_of(base->device()), base) {
    set_uuid(uuid);
    set(latencies);
  }
  std::unique_ptr<Channel> make_channel() override { return std::make_unique<DelayChannel>(base(), latencies_); }
  bool supports(IoType type) const noexcept override { return type == IoType::abort || StackedDevice::supports(type); }
  Task<> shut_down() override {
    shared_base()->close();
    return StackedDevice::shut_down();
  }
  void set(const std::array<microseconds, 4>& latencies) noexcept {
    for (std::size_t i = 0; i < latencies.size(); ++i) latencies_[i].store(latencies[i].count());
  }
  void set_one(std::size_t which, microseconds latency) noexcept { latencies_[which].store(latency.count()); }
  std::array<microseconds, 4> latencies() const {
    std::array<microseconds, 4> all;
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = microseconds{latencies_[i].load()};
    return all;
  }
  nlohmann::ordered_json driver_specific() const override {
    return {{"delay",
             {{"name", name()},
              {"base_bdev_name", base().device().name()},
              {"avg_read_latency", latencies_[average_read].load()},
              {"p99_read_latency", latencies_[p99_read].load()},
              {"avg_write_latency", latencies_[average_write].load()},
              {"p99_write_latency", latencies_[p99_write].load()}}}};
  }
  nlohmann::ordered_json config() const override {
    auto params = driver_specific()["delay"];
    params["uuid"] = uuid().to_string();
    return {{"method", "bdev_delay_create"}, {"params", std::move(params)}};
  }

 private:
  Latencies latencies_{};
};

Task<Bdev> create_named(std::string name, std::string base_name, std::array<microseconds, 4> latencies, Uuid uuid) {
  if (name.empty()) refuse_option("delay", "name", "is empty");
  check_latencies(name, latencies);
  auto base = StackedBase::open(base_name, "delay");
  co_return co_await register_stacked(base, std::make_unique<DelayDevice>(name, base, latencies, uuid), true);
}

/// Runs `fn(device)` while the device can't go away.
template <class F>
void with_delay_device(std::string_view name, F&& fn) {
  const auto state = Service::current().find(name);
  auto* device = state != nullptr ? dynamic_cast<DelayDevice*>(state->device()) : nullptr;
  if (device == nullptr) {
    throw Error(std::errc::no_such_device, "there is no such delay bdev").with_operation("delay").with_device(name);
  }
  fn(*device);
}

struct CreateParams {
  std::string name;
  std::string base_bdev_name;
  std::uint64_t avg_read_latency = 0;
  std::uint64_t p99_read_latency = 0;
  std::uint64_t avg_write_latency = 0;
  std::uint64_t p99_write_latency = 0;
  Uuid uuid{};
  void fields(rpc::Params& params) {
    params.required("name", &name, "Name of the new bdev");
    params.required("base_bdev_name", &base_bdev_name, "Name of the bdev below");
    for (auto [field, value] :
         {std::pair{"avg_read_latency", &avg_read_latency}, std::pair{"p99_read_latency", &p99_read_latency},
          std::pair{"avg_write_latency", &avg_write_latency}, std::pair{"p99_write_latency", &p99_write_latency}}) {
      params.required(field, value, "Microseconds to add");
      params.check(*value <= max_latency, field, "must be at most a day");
    }
    params.optional("uuid", &uuid, "UUID of the new bdev");
  }
  std::array<microseconds, 4> latencies() const {
    const auto us = [](std::uint64_t value) { return microseconds{static_cast<std::int64_t>(value)}; };
    return {us(avg_read_latency), us(p99_read_latency), us(avg_write_latency), us(p99_write_latency)};
  }
  static constexpr std::uint64_t max_latency = 86'400'000'000;
};

struct UpdateParams {
  std::string delay_bdev_name;
  std::string latency_type;
  std::uint64_t latency_us = 0;
  void fields(rpc::Params& params) {
    params.required("delay_bdev_name", &delay_bdev_name, "Name of the bdev");
    params.required("latency_type", &latency_type, "avg_read, p99_read, avg_write or p99_write");
    params.required("latency_us", &latency_us, "Microseconds to add");
    params.check(latency_us <= CreateParams::max_latency, "latency_us", "must be at most a day");
  }
};

Task<Bdev> create(CreateParams params) {
  return create_named(std::move(params.name), std::move(params.base_bdev_name), params.latencies(), params.uuid);
}

Task<Json> update(UpdateParams params) {
  const auto found = std::ranges::find(which_names, params.latency_type);
  if (found == which_names.end()) {
    refuse_option(params.delay_bdev_name, "latency_type", "must be avg_read, p99_read, avg_write or p99_write");
  }
  const auto which = static_cast<std::size_t>(found - which_names.begin());
  // One of a pair at a time, so that a p99 may be below its average for a moment; that orders nothing.
  with_delay_device(params.delay_bdev_name, [&](DelayDevice& device) {
    device.set_one(which, microseconds{static_cast<std::int64_t>(params.latency_us)});
  });
  co_return Json(true);
}

}  // namespace

Task<Bdev> create_delay(const DelayOptions& options) {
  return create_named(std::string{options.name}, std::string{options.base}, as_array(options.latencies), options.uuid);
}

Task<> delete_delay(std::string_view name) { return unregister_own<DelayDevice>(std::string{name}); }

void set_delay(std::string_view name, const DelayLatencies& latencies) {
  check_latencies(name, as_array(latencies));
  with_delay_device(name, [&](DelayDevice& device) { device.set(as_array(latencies)); });
}

void register_delay_methods(rpc::MethodTable& table) {
  const auto pending = std::make_shared<PendingBases>();
  table.add<CreateParams>(
      "bdev_delay_create", "Make a device that answers later than another", [=](const CreateParams& params) {
        check_latencies(params.name, params.latencies());
        return create_or_wait(pending, params.name, params.base_bdev_name, create, params, Json(params.name));
      });
  table.add<BdevName>("bdev_delay_delete", "Remove a delay device",
                      [=](const BdevName& params) { return delete_or_forget<DelayDevice>(pending, params); });
  table.add<UpdateParams>("bdev_delay_update_latency", "Change one latency of a delay device", update);
}

}  // namespace spdkio::bdev
