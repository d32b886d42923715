#include <spdkio/nvme/controller.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/thread.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "nvme/controller_core.hpp"
#include "nvme/settings.hpp"

namespace spdkio::nvme {
namespace {

Task<std::shared_ptr<ControllerCore>> connect_core(ControllerSettings settings) {
  return ControllerCore::connect(std::move(settings));
}

template <class T>
Task<T> read_log(std::shared_ptr<ControllerCore> core, spec::LogPage page, std::uint32_t nsid) {
  const DmaBuf buffer(sizeof(T));
  auto reading = core->admin(spec::get_log_page_command(page, sizeof(T), 0, nsid), buffer, "get_log_page");
  co_await std::move(reading);
  T log;
  std::memcpy(&log, buffer.data(), sizeof log);
  co_return log;
}

Task<> run(std::shared_ptr<ControllerCore> core, spec::Command command, DmaSpan data, const char* name) {
  auto running = core->admin(command, data, name);
  co_await std::move(running);
}

Task<std::uint32_t> run_for_dw0(std::shared_ptr<ControllerCore> core, spec::Command command, DmaSpan data,
                                const char* name) {
  auto running = core->admin(command, data, name);
  const spec::Completion completion = co_await std::move(running);
  co_return completion.dw0.value();
}

Task<> rescan_at_home(std::shared_ptr<ControllerCore> core) {
  auto rescan = [core] { return core->rescan(); };
  auto calling = core->home().call(moved(std::move(rescan)));
  co_await std::move(calling);
}

Task<> change_attachment(std::shared_ptr<ControllerCore> core, std::uint32_t nsid,
                         std::vector<std::uint16_t> controllers, bool attach) {
  spec::ControllerList list;
  if (controllers.empty() || controllers.size() > list.cntlid.size()) {
    throw Error(Misuse::invalid_argument,
                fmt::format("{} controllers; 1 to {} are possible", controllers.size(), list.cntlid.size()))
        .with_operation(attach ? "attach_namespace" : "detach_namespace");
  }
  std::ranges::sort(controllers);
  list.count = static_cast<std::uint16_t>(controllers.size());
  std::ranges::copy(controllers, list.cntlid.begin());
  const DmaBuf buffer(sizeof list);
  std::memcpy(buffer.data(), &list, sizeof list);
  auto running = core->admin(spec::attach_namespace_command(nsid, attach), buffer,
                             attach ? "attach_namespace" : "detach_namespace");
  co_await std::move(running);
  auto rescanning = rescan_at_home(core);
  co_await std::move(rescanning);
}

}  // namespace

std::string_view to_string(ControllerState state) noexcept {
  switch (state) {
    case ControllerState::connecting: return "connecting";
    case ControllerState::ready: return "ready";
    case ControllerState::reconnecting: return "reconnecting";
    case ControllerState::failed: return "failed";
    case ControllerState::detached: return "detached";
  }
  return "unknown";
}

namespace {

Task<Controller> wrap(ControllerSettings settings, Controller (*make)(std::shared_ptr<ControllerCore>)) {
  auto connecting = connect_core(std::move(settings));
  co_return make(co_await std::move(connecting));
}

}  // namespace

// The options are copied before the first suspension: their strings are the caller's.
Task<Controller> Controller::connect(const TransportId& id, const ControllerOptions& options) {
  return wrap(ControllerSettings::from(id, options),
              [](std::shared_ptr<ControllerCore> core) { return Controller(std::move(core)); });
}

Controller& Controller::operator=(Controller&& other) noexcept {
  std::swap(core_, other.core_);
  return *this;
}

Controller::~Controller() { release(); }

void Controller::release() noexcept {
  if (const auto core = std::exchange(core_, nullptr)) {
    if (core->state() != ControllerState::detached) core->detach_later();
  }
}

Task<> Controller::detach() { return core_->detach(); }

const std::string& Controller::name() const noexcept { return core_->settings().name; }
const TransportId& Controller::transport_id() const noexcept { return core_->settings().id; }
ControllerState Controller::state() const noexcept { return core_->state(); }
std::shared_ptr<const spec::IdentifyController> Controller::identify() const { return core_->identify(); }
spec::Capabilities Controller::capabilities() const noexcept { return core_->capabilities(); }
spec::SpecVersion Controller::version() const noexcept { return core_->version(); }
std::uint16_t Controller::controller_id() const noexcept { return core_->controller_id(); }
const std::string& Controller::host_nqn() const noexcept { return core_->settings().host_nqn; }
std::uint32_t Controller::max_io_qpairs() const noexcept { return core_->granted_queues(); }
std::uint32_t Controller::max_transfer_bytes() const noexcept { return core_->max_transfer_bytes(); }
std::uint64_t Controller::connections() const noexcept { return core_->connections(); }

Namespace Controller::ns(std::uint32_t nsid) const {
  auto state = core_->find_namespace(nsid);
  if (state == nullptr || !state->active.load(std::memory_order_relaxed)) {
    throw Error(std::errc::no_such_device, fmt::format("namespace {} is not active", nsid)).with_device(name());
  }
  return Namespace(std::move(state));
}

std::vector<Namespace> Controller::namespaces() const {
  std::vector<Namespace> all;
  for (auto& state : core_->active_namespaces()) all.emplace_back(std::move(state));
  return all;
}

Task<Qpair> Controller::alloc_io_qpair(QpairOptions options) const {
  const auto core = core_;
  auto opening = core->open_queue(options);
  auto queue = co_await std::move(opening);
  co_return Qpair(core, std::move(queue));
}

Task<std::optional<ControllerEvent>> Controller::next_event() const { return core_->next_event(); }
Task<> Controller::rescan_namespaces() const { return rescan_at_home(core_); }
Task<> Controller::reset() const { return core_->reset(); }

// ---- admin commands

Task<spec::Completion> Controller::admin(const spec::Command& command, DmaSpan data) const {
  return core_->admin(command, data, "nvme_admin");
}

Task<> Controller::log_page(spec::LogPage page, DmaSpan into, LogPageOptions options) const {
  if (into.empty() || into.size() % 4 != 0 || into.size() > UINT32_MAX || options.offset % 4 != 0) {
    throw Error(Misuse::misaligned, "length and offset of a log page are multiples of 4").with_operation("log_page");
  }
  const auto command = spec::get_log_page_command(page, static_cast<std::uint32_t>(into.size()), options.offset,
                                                  options.nsid, options.retain_event, options.specific);
  return run(core_, command, into, "get_log_page");
}

Task<spec::SmartLog> Controller::smart_log(std::uint32_t nsid) const {
  return read_log<spec::SmartLog>(core_, spec::LogPage::smart_health, nsid);
}

Task<spec::FirmwareSlotLog> Controller::firmware_slot_log() const {
  return read_log<spec::FirmwareSlotLog>(core_, spec::LogPage::firmware_slot, spec::nsid_all);
}

Task<spec::CommandEffectsLog> Controller::command_effects_log() const {
  return read_log<spec::CommandEffectsLog>(core_, spec::LogPage::commands_supported, 0);
}

Task<spec::SanitizeLog> Controller::sanitize_log() const {
  return read_log<spec::SanitizeLog>(core_, spec::LogPage::sanitize_status, spec::nsid_all);
}

Task<std::vector<spec::ErrorLogEntry>> Controller::error_log(std::uint32_t count) const {
  const auto core = core_;
  const std::uint32_t entries = std::min<std::uint32_t>(count, core->identify()->elpe + 1u);
  std::vector<spec::ErrorLogEntry> log;
  if (entries == 0) co_return log;
  const std::size_t bytes = entries * sizeof(spec::ErrorLogEntry);
  const DmaBuf buffer(bytes);
  auto reading =
      core->admin(spec::get_log_page_command(spec::LogPage::error_information, static_cast<std::uint32_t>(bytes)),
                  buffer, "get_log_page");
  co_await std::move(reading);
  for (std::uint32_t i = 0; i < entries; ++i) {
    spec::ErrorLogEntry entry;
    std::memcpy(&entry, buffer.data() + i * sizeof entry, sizeof entry);
    if (entry.error_count != 0) log.push_back(entry);
  }
  co_return log;
}

Task<std::uint32_t> Controller::get_feature(spec::Feature feature, spec::FeatureSelect select, std::uint32_t cdw11,
                                            std::uint32_t nsid, DmaSpan data) const {
  return run_for_dw0(core_, spec::get_features_command(feature, select, cdw11, nsid), data, "get_features");
}

Task<std::uint32_t> Controller::set_feature(spec::Feature feature, std::uint32_t cdw11, bool save, std::uint32_t nsid,
                                            DmaSpan data) const {
  return run_for_dw0(core_, spec::set_features_command(feature, cdw11, save, nsid), data, "set_features");
}

Task<> Controller::identify(spec::Cns cns, std::uint32_t nsid, DmaSpan into, std::uint16_t cntid, spec::Csi csi) const {
  if (into.size() != spec::identify_bytes) {
    throw Error(Misuse::buffer_size,
                fmt::format("{} bytes of buffer; Identify gives {}", into.size(), spec::identify_bytes))
        .with_operation("identify");
  }
  return run(core_, spec::identify_command(cns, nsid, cntid, csi), into, "identify");
}

Task<> Controller::format(std::uint32_t nsid, FormatOptions options) const {
  const auto core = core_;
  auto formatting =
      core->admin(spec::format_nvm_command(nsid, options.lba_format, options.erase, options.metadata_interleaved,
                                           options.protection_type, options.protection_first),
                  {}, "format");
  co_await std::move(formatting);
  auto rescanning = rescan_at_home(core);
  co_await std::move(rescanning);
}

Task<> Controller::sanitize(SanitizeOptions options) const {
  if (options.overwrite_passes < 1 || options.overwrite_passes > 16) {
    throw Error(Misuse::invalid_argument, "overwrite_passes is 1 to 16").with_operation("sanitize");
  }
  return run(core_,
             spec::sanitize_command(options.action, options.allow_unrestricted_exit, options.overwrite_passes,
                                    options.invert_between_passes, options.no_deallocate, options.overwrite_pattern),
             {}, "sanitize");
}

Task<std::uint32_t> Controller::create_namespace(const spec::IdentifyNamespace& data) const {
  DmaBuf buffer(sizeof data);
  std::memcpy(buffer.data(), &data, sizeof data);
  return [](std::shared_ptr<ControllerCore> core, DmaBuf data_buffer) -> Task<std::uint32_t> {
    auto creating = core->admin(spec::create_namespace_command(), data_buffer, "create_namespace");
    const spec::Completion completion = co_await std::move(creating);
    co_return completion.dw0.value();
  }(core_, std::move(buffer));
}

Task<> Controller::delete_namespace(std::uint32_t nsid) const {
  const auto core = core_;
  auto deleting = core->admin(spec::delete_namespace_command(nsid), {}, "delete_namespace");
  co_await std::move(deleting);
  auto rescanning = rescan_at_home(core);
  co_await std::move(rescanning);
}

Task<> Controller::attach_namespace(std::uint32_t nsid, std::vector<std::uint16_t> controllers) const {
  return change_attachment(core_, nsid, std::move(controllers), true);
}

Task<> Controller::detach_namespace(std::uint32_t nsid, std::vector<std::uint16_t> controllers) const {
  return change_attachment(core_, nsid, std::move(controllers), false);
}

}  // namespace spdkio::nvme
