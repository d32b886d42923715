#include "bdev_modules/nvme/nvme_defaults.hpp"

#include <algorithm>
#include <mutex>

namespace spdkio::bdev::nvme_disk {
namespace {

using std::chrono::milliseconds;

struct DefaultsStore {
  std::mutex mutex;
  Defaults values;
  static DefaultsStore& instance() {
    static DefaultsStore store;
    return store;
  }
};

}  // namespace

milliseconds ms_of(std::uint64_t us) noexcept {
  return milliseconds{static_cast<std::int64_t>(std::min<std::uint64_t>(us / 1000 + (us % 1000 != 0), 1u << 30))};
}

Defaults defaults() {
  DefaultsStore& store = DefaultsStore::instance();
  const std::lock_guard lock(store.mutex);
  return store.values;
}

void set_defaults(const Defaults& values) {
  DefaultsStore& store = DefaultsStore::instance();
  const std::lock_guard lock(store.mutex);
  store.values = values;
}

void Defaults::fields(rpc::Params& params) {
  params.optional("action_on_timeout", &action_on_timeout, "none, abort or reset");
  params.check(action_on_timeout == "none" || action_on_timeout == "abort" || action_on_timeout == "reset",
               "action_on_timeout", "must be none, abort or reset");
  params.optional("timeout_us", &timeout_us, "Time that an I/O may take before it is aborted; 0: any");
  params.optional("timeout_admin_us", &timeout_admin_us, "The same for admin commands; 0: a minute");
  params.optional("keep_alive_timeout_ms", &keep_alive_timeout_ms, "Keep-alive timeout of Fabrics controllers");
  params.optional("bdev_retry_count", &bdev_retry_count, "How often a command that may succeed later is sent again");
  params.check(bdev_retry_count >= -1, "bdev_retry_count", "must be -1 (for ever) or more");
  params.optional("ctrlr_loss_timeout_sec", &ctrlr_loss_timeout_sec,
                  "How long to try to reconnect; -1: for ever; 0: not at all");
  params.check(ctrlr_loss_timeout_sec >= -1, "ctrlr_loss_timeout_sec", "must be -1 or more");
  params.optional("reconnect_delay_sec", &reconnect_delay_sec, "Between attempts; 0: growing from a quarter second");
  params.optional("fast_io_fail_timeout_sec", &fast_io_fail_timeout_sec,
                  "After so long without a connection requests fail instead of waiting; 0: they wait");
  params.optional("transport_tos", &transport_tos, "IP type of service of the connections");
}

nvme::ControllerOptions Defaults::controller_options() const {
  nvme::ControllerOptions options;
  options.keep_alive = milliseconds{keep_alive_timeout_ms};
  options.type_of_service = transport_tos;
  options.retries = bdev_retry_count < 0 ? UINT32_MAX : static_cast<std::uint32_t>(bdev_retry_count);
  if (action_on_timeout != "none") options.io_timeout = ms_of(timeout_us);
  if (timeout_admin_us != 0) options.admin_timeout = ms_of(timeout_admin_us);
  return options;
}

void ReconnectParams::fields(rpc::Params& params) {
  params.optional("ctrlr_loss_timeout_sec", &ctrlr_loss_timeout_sec, "See bdev_nvme_set_options");
  params.check(!ctrlr_loss_timeout_sec || *ctrlr_loss_timeout_sec >= -1, "ctrlr_loss_timeout_sec",
               "must be -1 or more");
  params.optional("reconnect_delay_sec", &reconnect_delay_sec, "See bdev_nvme_set_options");
  params.optional("fast_io_fail_timeout_sec", &fast_io_fail_timeout_sec, "See bdev_nvme_set_options");
}

nvme::ReconnectPolicy ReconnectParams::policy(const Defaults& set) const {
  nvme::ReconnectPolicy policy;
  const std::int32_t loss = ctrlr_loss_timeout_sec.value_or(set.ctrlr_loss_timeout_sec);
  const std::uint32_t delay = reconnect_delay_sec.value_or(set.reconnect_delay_sec);
  const std::uint32_t fail = fast_io_fail_timeout_sec.value_or(set.fast_io_fail_timeout_sec);
  policy.enabled = loss != 0;
  policy.give_up_after = loss < 0 ? milliseconds{-1} : milliseconds{std::int64_t{loss} * 1000};
  if (delay != 0) policy.initial_delay = policy.max_delay = milliseconds{std::int64_t{delay} * 1000};
  if (fail != 0) policy.fail_io_after = milliseconds{std::int64_t{fail} * 1000};
  return policy;
}

nlohmann::ordered_json reconnect_json(const nvme::ReconnectPolicy& policy) {
  const auto seconds = [](milliseconds value) { return value.count() < 0 ? -1 : value.count() / 1000; };
  return {{"ctrlr_loss_timeout_sec", policy.enabled ? seconds(policy.give_up_after) : 0},
          {"reconnect_delay_sec", policy.enabled ? std::max<std::int64_t>(seconds(policy.max_delay), 1) : 0},
          {"fast_io_fail_timeout_sec", policy.fail_io_after.count() < 0 ? 0 : seconds(policy.fail_io_after)}};
}

}  // namespace spdkio::bdev::nvme_disk
