#include "bdev_modules/nvme/discovery_service.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/stop_token.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "bdev_modules/nvme/attached_controller.hpp"
#include "bdev_modules/nvme/nvme_defaults.hpp"
#include "bdev_modules/nvme/transport_json.hpp"
#include "nvme/discovery_log.hpp"
#include "nvme/keeping.hpp"

namespace spdkio::bdev::nvme_disk {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds first_pause{250};
constexpr std::chrono::milliseconds longest_pause{10'000};
/// How often what could not be attached, or was given up, is tried again.
constexpr std::chrono::milliseconds check_period{5'000};

struct List {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<DiscoveryService>, std::less<>> services;
  static List& instance() {
    static List list;
    return list;
  }
};

bool is_attached(const std::string& name) {
  return std::ranges::any_of(AttachedController::all(),
                             [&name](const auto& controller) { return controller->name() == name; });
}

bool same_path(const nvme::TransportId& a, const nvme::TransportId& b) noexcept {
  return a.trtype == b.trtype && a.traddr == b.traddr && a.trsvcid == b.trsvcid;
}

/// True when the log has to be read again.
bool tells_of_log(const nvme::ControllerEvent& event) noexcept {
  if (event.kind == nvme::ControllerEvent::Kind::reconnected) return true;
  return event.kind == nvme::ControllerEvent::Kind::async_event && event.async.type == spec::AsyncEventType::notice &&
         event.async.information == static_cast<std::uint8_t>(spec::AsyncNotice::discovery_log_changed);
}

}  // namespace

std::shared_ptr<DiscoveryService> DiscoveryService::start(std::string name, nvme::ControllerSettings service,
                                                          nvme::ControllerSettings controllers) {
  auto made = std::make_shared<DiscoveryService>(std::move(name), std::move(service), std::move(controllers));
  {
    List& list = List::instance();
    const std::lock_guard lock(list.mutex);
    if (!list.services.emplace(made->name_, made).second) {
      throw Error(std::errc::file_exists, "a discovery service of that name was started already")
          .with_operation("start_discovery")
          .with_device(made->name_);
    }
  }
  made->running_ = CurrentThread::spawn(nvme::keeping(made, made->run()), "nvme discovery " + made->name_);
  return made;
}

std::shared_ptr<DiscoveryService> DiscoveryService::find(std::string_view name) {
  List& list = List::instance();
  const std::lock_guard lock(list.mutex);
  const auto found = list.services.find(name);
  if (found == list.services.end()) {
    throw Error(std::errc::no_such_device, "no discovery service of that name was started").with_device(name);
  }
  return found->second;
}

std::vector<std::shared_ptr<DiscoveryService>> DiscoveryService::all() {
  List& list = List::instance();
  const std::lock_guard lock(list.mutex);
  std::vector<std::shared_ptr<DiscoveryService>> all;
  for (const auto& [name, service] : list.services) all.push_back(service);
  return all;
}

void DiscoveryService::forget() noexcept {
  List& list = List::instance();
  const std::lock_guard lock(list.mutex);
  list.services.erase(name_);
}

// ---- life

Task<> DiscoveryService::run() {
  auto following = follow();
  const auto followed = co_await as_result(std::move(following));
  const bool cancelled = !followed && followed.error().code() == std::errc::operation_canceled;
  if (!followed && !cancelled) log::error("{}: discovery ended: {}", name_, followed.error().what());
  // Otherwise the Thread ends, and its controllers with it.
  if (!stopping_) {
    core_.reset();
    forget();
  }
  first_round_.set();
  ended_.set();
}

Task<> DiscoveryService::follow() {
  const StopToken stop = co_await stop_token();
  for (std::chrono::milliseconds pause = first_pause;; pause = std::min(2 * pause, longest_pause)) {
    auto connecting = nvme::ControllerCore::connect(service_);
    auto connected = co_await as_result(std::move(connecting));
    if (connected) {
      core_ = std::move(*connected);
      break;
    }
    if (stop.stop_requested()) co_return;
    if (pause == first_pause) log::warn("{}: discovery: {}", name_, connected.error().what());
    co_await sleep_for(pause);
  }
  for (;;) {
    bool complete = false;
    auto reading = nvme::read_discovery_log(core_);
    auto entries = co_await as_result(std::move(reading));
    if (entries) {
      auto reconciling = reconcile(std::move(*entries));
      complete = co_await std::move(reconciling);
      first_round_.set();
    } else if (!stop.stop_requested()) {
      log::warn("{}: discovery: {}", name_, entries.error().what());
    }
    for (bool again = false; !again;) {
      if (stop.stop_requested()) co_return;
      auto waiting = with_timeout(check_period, core_->next_event());
      const auto event = co_await as_result(std::move(waiting));
      if (event && !*event) co_return;  // detached
      if (event) {
        again = tells_of_log(**event);
      } else {
        again = !complete ||
                std::ranges::any_of(attached_, [](const auto& one) { return !is_attached(one.second.controller); });
      }
    }
  }
}

/// False when something that the log lists is not attached.
Task<bool> DiscoveryService::reconcile(std::vector<nvme::DiscoveryEntry> entries) {
  std::map<std::string, std::vector<nvme::TransportId>, std::less<>> wanted;
  referrals_.clear();
  for (nvme::DiscoveryEntry& entry : entries) {
    if (entry.type == spec::discovery::SubsystemType::referral) referrals_.push_back(entry.id);
    if (entry.type != spec::discovery::SubsystemType::nvm || !entry.connectable) continue;
    entry.id.hostaddr = controllers_.id.hostaddr;
    entry.id.hostsvcid = controllers_.id.hostsvcid;
    wanted[entry.id.subnqn].push_back(std::move(entry.id));
  }
  const auto before = attached_;
  for (const auto& [nqn, one] : before) {
    const auto found = wanted.find(nqn);
    const bool listed = found != wanted.end() && std::ranges::any_of(found->second, [&one = one](const auto& id) {
                          return same_path(id, one.id);
                        });
    if (listed && is_attached(one.controller)) continue;
    log::info("{}: {} is {}", name_, nqn,
              listed ? "attached again: its controller was given up" : "not listed any more");
    auto detaching = detach(one);
    co_await std::move(detaching);
    attached_.erase(nqn);
  }
  bool complete = true;
  for (const auto& [nqn, paths] : wanted) {
    for (auto path = paths.begin(); path != paths.end() && !attached_.contains(nqn);) {
      nvme::ControllerSettings settings = controllers_;
      settings.id = *path;
      settings.name = fmt::format("{}{}", name_, next_number_);
      const std::string controller = settings.name;
      auto attaching = AttachedController::attach(controller, std::move(settings), AttachedController::Saved::no);
      const auto attached = co_await as_result(std::move(attaching));
      if (attached) {
        log::info("{}: {} is attached as {}", name_, nqn, controller);
        attached_.emplace(nqn, Attached{controller, *path});
        ++next_number_;
      } else if (attached.error().code() == std::errc::file_exists && is_attached(controller)) {
        ++next_number_;  // somebody else has that name
      } else {
        log::warn("{}: {} can't be attached: {}", name_, nqn, attached.error().what());
        ++path;
      }
    }
    complete = complete && attached_.contains(nqn);
  }
  co_return complete;
}

Task<> DiscoveryService::detach(const Attached& attached) {
  const std::string name = attached.controller;
  if (!is_attached(name)) co_return;
  auto detaching = AttachedController::find(name)->detach();
  const auto detached = co_await as_result(std::move(detaching));
  if (!detached) log::debug("{}: {}", name, detached.error().what());  // somebody else detached it
}

Task<> DiscoveryService::wait_for_attach() {
  const auto self = shared_from_this();
  auto waiting = first_round_.wait();
  co_await std::move(waiting);
}

Task<> DiscoveryService::stop() {
  const auto self = shared_from_this();
  auto ask = [self]() -> Task<> {
    const bool first = !std::exchange(self->stopping_, true);
    if (first) self->running_->request_stop();
    auto waiting = self->ended_.wait();
    co_await std::move(waiting);
    if (!first) co_return;
    auto ending = self->end();
    co_await std::move(ending);
  };
  auto calling = home_.call(moved(std::move(ask)));
  co_await std::move(calling);
}

Task<> DiscoveryService::end() {
  const auto attached = std::exchange(attached_, {});
  for (const auto& [nqn, one] : attached) {
    auto detaching = detach(one);
    co_await std::move(detaching);
  }
  if (const auto core = std::exchange(core_, nullptr)) {
    auto detaching = core->detach();
    [[maybe_unused]] const auto detached = co_await as_result(std::move(detaching));
  }
  forget();
}

// ---- what it is

Task<nlohmann::ordered_json> DiscoveryService::info() {
  const auto self = shared_from_this();
  auto describe = [self] {
    auto referrals = nlohmann::ordered_json::array();
    for (const nvme::TransportId& id : self->referrals_) referrals.push_back({{"trid", transport_json(id)}});
    return nlohmann::ordered_json{
        {"name", self->name_}, {"trid", transport_json(self->service_.id)}, {"referrals", std::move(referrals)}};
  };
  auto calling = home_.call(moved(std::move(describe)));
  co_return co_await std::move(calling);
}

nlohmann::ordered_json DiscoveryService::config() const {
  const nvme::TransportId& id = service_.id;
  nlohmann::ordered_json params{{"name", name_}, {"trtype", to_string(id.trtype)}, {"traddr", id.traddr}};
  if (id.adrfam != nvme::AddressFamily::unspecified) params["adrfam"] = to_string(id.adrfam);
  params["trsvcid"] = id.trsvcid;
  params["hostnqn"] = service_.host_nqn;
  // What comes later in the configuration may need the bdevs.
  params["wait_for_attach"] = true;
  params.update(reconnect_json(controllers_.reconnect));
  return {{"method", "bdev_nvme_start_discovery"}, {"params", std::move(params)}};
}

}  // namespace spdkio::bdev::nvme_disk
