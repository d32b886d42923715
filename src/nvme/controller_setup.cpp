// From a fresh admin queue to a controller that is ready, and what keeps it so.
#include <spdkio/base/error_context.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/with_timeout.hpp>
#include <spdkio/spec/features.hpp>
#include <spdkio/spec/identify.hpp>
#include <spdkio/spec/log_page.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <utility>

#include "nvme/controller_core.hpp"

namespace spdkio::nvme {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t most_async_event_requests = 4;
/// The bytes of a Command in a capsule; the rest is data.
constexpr std::uint32_t capsule_command_bytes = 64;

struct SetOnExit {
  bool& flag;
  bool value;
  ~SetOnExit() { flag = value; }
};

}  // namespace

Task<> ControllerCore::establish() {
  attempt_.fetch_add(1, std::memory_order_relaxed);
  is_lost_ = false;
  establishing_ = true;
  const SetOnExit done{establishing_, false};
  auto opening = admin_->open(*transport_, 0);
  co_await std::move(opening);
  auto enabling = enable();
  co_await std::move(enabling);
  auto reading = read_identity();
  co_await std::move(reading);
  if (!settings_.discovery) {
    auto limiting = read_command_set_limits();
    co_await std::move(limiting);
    auto negotiating = negotiate_queues();
    co_await std::move(negotiating);
  }
  auto configuring = configure_events();
  co_await std::move(configuring);
  start_upkeep();
  if (!settings_.discovery) {
    auto scanning = scan_namespaces();
    co_await std::move(scanning);
  }
  if (is_lost_) throw *why_lost_;
  connections_.fetch_add(1, std::memory_order_relaxed);
}

Task<> ControllerCore::enable() {
  const ErrorContext doing("enabling the controller");
  auto reading_cap = transport_->get_property(spec::Property::cap, 8);
  const spec::Capabilities cap{co_await std::move(reading_cap)};
  auto reading_vs = transport_->get_property(spec::Property::vs, 4);
  const spec::SpecVersion vs{static_cast<std::uint32_t>(co_await std::move(reading_vs))};
  cap_.store(cap.value, std::memory_order_relaxed);
  vs_.store(vs.value, std::memory_order_relaxed);
  if (cap.max_queue_entries() < 2) {
    throw Error(std::errc::protocol_error, "the controller says that its queues have room for nothing (CAP.MQES)")
        .with_device(settings_.name);
  }
  if (transport_->limits().driven) co_return;
  std::uint32_t command_set = 0;
  if (!cap.nvm_command_set()) command_set = cap.multiple_command_sets() ? 6 : cap.no_io_command_set() ? 7 : 0;
  const auto page_log2 = static_cast<std::uint32_t>(std::countr_zero(cap.min_page_size()));
  const auto cc = spec::Configuration::enable(command_set, page_log2);
  auto writing = transport_->set_property(spec::Property::cc, 4, cc.value);
  co_await std::move(writing);

  const auto limit = std::max<std::chrono::milliseconds>(std::chrono::milliseconds{cap.timeout_ms()}, 2s);
  std::chrono::milliseconds waited{0};
  for (std::chrono::milliseconds pause{1};; pause = std::min(2 * pause, 50ms)) {
    auto reading = transport_->get_property(spec::Property::csts, 4);
    const spec::ControllerStatus csts{static_cast<std::uint32_t>(co_await std::move(reading))};
    if (csts.gone()) throw Error(std::errc::no_such_device, "the controller is gone").with_device(settings_.name);
    if (csts.fatal()) {
      throw Error(std::errc::io_error, "the controller reports a fatal error (CSTS.CFS)").with_device(settings_.name);
    }
    if (csts.ready()) co_return;
    if (waited >= limit) {
      throw Error(std::errc::timed_out, fmt::format("the controller did not get ready within {} ms", limit.count()))
          .with_operation("enable")
          .with_device(settings_.name);
    }
    co_await sleep_for(pause);
    waited += pause;
  }
}

Task<> ControllerCore::read_identity() {
  const ErrorContext doing("identifying the controller");
  const DmaBuf buffer(spec::identify_bytes);
  auto identifying = admin_now(spec::identify_command(spec::Cns::controller), buffer, "identify");
  co_await identifying;
  auto data = std::make_shared<spec::IdentifyController>();
  std::memcpy(data.get(), buffer.data(), sizeof *data);

  const std::uint16_t connected_to = transport_->controller_id();
  if (transport_->limits().fabrics && data->cntlid != connected_to) {
    throw Error(std::errc::protocol_error,
                fmt::format("Identify says controller {:#x}, Connect said {:#x}", data->cntlid.value(), connected_to))
        .with_device(settings_.name);
  }
  cntlid_.store(data->cntlid, std::memory_order_relaxed);

  std::uint64_t most = transport_->limits().max_transfer_bytes;
  if (data->mdts != 0 && data->mdts < 32) most = std::min(most, capabilities().min_page_size() << data->mdts);
  most = std::min<std::uint64_t>(most, 1u << 30);
  max_transfer_bytes_.store(static_cast<std::uint32_t>(most), std::memory_order_relaxed);

  std::uint32_t in_capsule = 0;
  const std::uint64_t capsule = std::uint64_t{data->ioccsz} * 16;
  if (capsule > capsule_command_bytes && data->icdoff == 0) {
    in_capsule = static_cast<std::uint32_t>(std::min<std::uint64_t>(capsule - capsule_command_bytes, 1u << 20));
  }
  in_capsule_bytes_.store(in_capsule, std::memory_order_relaxed);
  if (transport_->limits().fabrics && !settings_.discovery && capsule < capsule_command_bytes) {
    throw Error(std::errc::protocol_error,
                fmt::format("the controller's I/O command capsules have {} bytes (IOCCSZ)", capsule))
        .with_device(settings_.name);
  }

  std::shared_ptr<const spec::IdentifyController> before;
  {
    const std::lock_guard lock(mutex_);
    before = std::exchange(identify_, std::move(data));
  }
  if (before != nullptr && before->sn != identify()->sn) {
    log::warn("{}: another controller answers at this address: serial number '{}', was '{}'", settings_.name,
              identify()->sn.to_string(), before->sn.to_string());
  }
}

/// Limits beside MDTS. Controllers that know no I/O command sets have no such page, and then no such limits.
Task<> ControllerCore::read_command_set_limits() {
  limits_ = {};
  const std::uint16_t commands = identify()->oncs;
  const bool has_page = version().major_version() >= 2 || capabilities().multiple_command_sets();
  if (!has_page || (commands & (spec::oncs::write_zeroes | spec::oncs::dataset_management)) == 0) co_return;
  const DmaBuf buffer(spec::identify_bytes);
  auto identifying = admin_now(spec::identify_command(spec::Cns::command_set_controller), buffer, "identify");
  const auto answer = co_await as_result(identifying);
  if (!answer) {
    if (!answer.error().nvme_status()) throw answer.error();
    log::debug("{}: no limits of the NVM command set: {}", settings_.name, answer.error().what());
    co_return;
  }
  spec::IdentifyControllerNvm data;
  std::memcpy(&data, buffer.data(), sizeof data);
  const std::uint64_t page = capabilities().min_page_size();
  // A limit that no 64 bits hold limits nothing.
  if (data.wzsl != 0 && data.wzsl < 40) limits_.zeroes_bytes = page << data.wzsl;
  if (data.dmrl != 0) limits_.deallocate_ranges = data.dmrl;
  if (data.dmrsl != 0) limits_.deallocate_blocks = data.dmrsl;
  if (data.dmsl != 0) limits_.deallocate_total = data.dmsl;
}

Task<> ControllerCore::negotiate_queues() {
  const ErrorContext doing("asking for I/O queues");
  const std::uint32_t wanted =
      std::min(std::max<std::uint32_t>(settings_.num_io_queues, 1), transport_->limits().max_io_queues);
  if (transport_->limits().driven) {
    granted_queues_.store(wanted, std::memory_order_relaxed);
    co_return;
  }
  auto setting = admin_now(
      spec::set_features_command(spec::Feature::number_of_queues, spec::NumberOfQueues{wanted, wanted}.encode()), {},
      "set_features");
  const auto answer = co_await as_result(setting);
  if (!answer) {
    // The controller answers that way when it has none to give.
    if (!answer.error().nvme_status()) throw answer.error();
    log::warn("{}: no I/O queues: {}", settings_.name, answer.error().what());
    granted_queues_.store(0, std::memory_order_relaxed);
    co_return;
  }
  const auto granted = spec::NumberOfQueues::decode(answer->dw0);
  granted_queues_.store(std::min({wanted, granted.submission, granted.completion}), std::memory_order_relaxed);
}

Task<> ControllerCore::configure_events() {
  const ErrorContext doing("configuring events");
  namespace config = spec::async_event_config;
  const std::uint32_t offered = identify()->oaes;
  const std::uint32_t wanted =
      settings_.discovery
          ? offered & config::discovery_log
          : (offered & (config::ns_attributes | config::firmware_activation | config::ana_change)) | 0x1F;
  if (wanted == 0) co_return;
  auto setting =
      admin_now(spec::set_features_command(spec::Feature::async_event_configuration, wanted), {}, "set_features");
  const auto answer = co_await as_result(setting);
  if (!answer && !answer.error().nvme_status()) throw answer.error();
  if (!answer) log::debug("{}: asynchronous events: {}", settings_.name, answer.error().what());
}

// ---- upkeep

void ControllerCore::start_upkeep() {
  const auto data = identify();
  upkeep_.emplace("nvme upkeep of " + settings_.name);
  abort_slots_.emplace(std::size_t{data->acl} + 1);
  const std::uint32_t requests = std::min(
      {std::uint32_t{data->aerl} + 1, most_async_event_requests, std::uint32_t{settings_.admin_queue_size} / 4});
  for (std::uint32_t i = 0; i < requests; ++i) upkeep_->spawn(async_event_loop(), "async events");
  keep_alive_unanswered_ = false;
  const TransportLimits& limits = transport_->limits();
  if (limits.fabrics && !limits.driven && settings_.keep_alive > 0ms && data->kas != 0) {
    upkeep_->spawn(keep_alive_loop(), "keep alive");
  }
}

Task<> ControllerCore::keep_alive_loop() {
  const auto interval = std::max<std::chrono::milliseconds>(settings_.keep_alive / 2, 1ms);
  for (;;) {
    const auto slept = co_await as_result(sleep_for(interval));
    if (!slept) co_return;
    if (keep_alive_unanswered_) {
      admin_->queue_failed(
          Error(std::errc::timed_out, fmt::format("no answer to Keep Alive for {} ms", interval.count()))
              .with_device(settings_.name));
      co_return;
    }
    keep_alive_unanswered_ = true;
    try {
      upkeep_->spawn(send_keep_alive());
    } catch (const Error&) {
      co_return;
    }
  }
}

Task<> ControllerCore::send_keep_alive() {
  auto sending = admin_now(spec::keep_alive_command(), {}, "keep_alive");
  const auto answer = co_await as_result(sending);
  keep_alive_unanswered_ = false;
  if (answer || !answer.error().nvme_status()) co_return;
  log::warn("{}: {}", settings_.name, answer.error().what());
}

Task<> ControllerCore::async_event_loop() {
  for (;;) {
    auto requesting = admin_now(spec::async_event_request_command(), {}, "async_event_request", false);
    const auto answer = co_await as_result(requesting);
    if (!answer) {
      if (answer.error().nvme_status()) log::debug("{}: {}", settings_.name, answer.error().what());
      co_return;  // the connection went, or the controller takes no more of them
    }
    auto handling = handle_async_event(spec::AsyncEvent::decode(answer->dw0));
    const auto handled = co_await as_result(std::move(handling));
    if (!handled) log::warn("{}: asynchronous event: {}", settings_.name, handled.error().what());
  }
}

Task<> ControllerCore::handle_async_event(spec::AsyncEvent event) {
  const bool notice = event.type == spec::AsyncEventType::notice;
  if (notice && event.information == static_cast<std::uint8_t>(spec::AsyncNotice::ns_attribute_changed)) {
    const DmaBuf buffer(sizeof(spec::ChangedNamespaceLog));
    // Reading the page acknowledges the event; what it says is found out by looking.
    auto reading =
        admin_now(spec::get_log_page_command(spec::LogPage::changed_ns_list, sizeof(spec::ChangedNamespaceLog)), buffer,
                  "get_log_page");
    const auto read = co_await as_result(reading);
    if (!read && !read.error().nvme_status()) throw read.error();
    auto scanning = scan_namespaces();
    co_await std::move(scanning);
    co_return;
  }
  if (event.type == spec::AsyncEventType::error || event.type == spec::AsyncEventType::health) {
    log::warn("{}: the controller reports {} event {:#x}", settings_.name,
              event.type == spec::AsyncEventType::error ? "an error" : "a health", event.information);
    const bool smart = event.log_page == static_cast<std::uint8_t>(spec::LogPage::smart_health);
    const std::uint32_t bytes = smart ? sizeof(spec::SmartLog) : sizeof(spec::ErrorLogEntry);
    const DmaBuf buffer(bytes);
    auto reading = admin_now(spec::get_log_page_command(static_cast<spec::LogPage>(event.log_page), bytes), buffer,
                             "get_log_page");
    [[maybe_unused]] const auto read = co_await as_result(reading);
  }
  ControllerEvent report;
  report.kind = ControllerEvent::Kind::async_event;
  report.async = event;
  add_event(std::move(report));
}

}  // namespace spdkio::nvme
