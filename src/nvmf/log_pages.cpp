// The Get Log Page command.
#include <spdkio/spec/log_page.hpp>

#include <algorithm>
#include <cstring>
#include <memory>

#include "nvmf/admin_commands.hpp"
#include "nvmf/poll_group.hpp"
#include "nvmf/subsystem_state.hpp"
#include "nvmf/target_state.hpp"

namespace spdkio::nvmf {
namespace {

using spec::LogPage;

template <class T>
std::span<const std::byte> bytes_of(const T& value) noexcept {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

spec::SmartLog health() noexcept {
  spec::SmartLog log{};
  log.composite_temperature = std::uint16_t{300};
  log.available_spare = 100;
  log.available_spare_threshold = 10;
  return log;
}

spec::FirmwareSlotLog firmware() noexcept {
  spec::FirmwareSlotLog log{};
  log.active = 1;
  log.revision[0].assign_spaces(SPDKIO_VERSION);
  return log;
}

spec::CommandEffectsLog command_effects(const SubsystemView& view) noexcept {
  using bdev::IoType;
  spec::CommandEffectsLog log{};
  const auto admin = [&log](spec::AdminOpcode opcode) { log.admin[spec::raw(opcode)] = spec::effects::supported; };
  admin(spec::AdminOpcode::get_log_page);
  admin(spec::AdminOpcode::identify);
  admin(spec::AdminOpcode::abort);
  admin(spec::AdminOpcode::set_features);
  admin(spec::AdminOpcode::get_features);
  admin(spec::AdminOpcode::async_event_request);
  admin(spec::AdminOpcode::keep_alive);
  const auto io = [&](spec::NvmOpcode opcode, IoType type, bool changes) {
    const bool there = std::ranges::any_of(
        view.namespaces(), [type](const auto& ns) { return ns != nullptr && ns->traits->supports(type); });
    if (there) log.io[spec::raw(opcode)] = spec::effects::supported | (changes ? spec::effects::content_change : 0);
  };
  io(spec::NvmOpcode::read, IoType::read, false);
  io(spec::NvmOpcode::write, IoType::write, true);
  io(spec::NvmOpcode::compare, IoType::compare, false);
  io(spec::NvmOpcode::write_zeroes, IoType::write_zeroes, true);
  io(spec::NvmOpcode::dataset_management, IoType::unmap, true);
  io(spec::NvmOpcode::copy, IoType::copy, true);
  log.io[spec::raw(spec::NvmOpcode::flush)] = spec::effects::supported;
  return log;
}

spec::ChangedNamespaceLog changed_namespaces(Controller& controller, bool retain) {
  spec::ChangedNamespaceLog log{};
  const std::vector<std::uint32_t> changed = controller.changed_namespaces(retain);
  for (std::size_t i = 0; i < changed.size(); ++i) log.nsid[i] = changed[i];
  return log;
}

spec::SupportedLogPages supported_pages(bool discovery) noexcept {
  spec::SupportedLogPages log{};
  const auto add = [&log](LogPage page) { log.page[static_cast<std::size_t>(page)] = 1u; };
  add(LogPage::supported_pages);
  add(LogPage::error_information);
  if (discovery) {
    add(LogPage::discovery);
    return log;
  }
  add(LogPage::smart_health);
  add(LogPage::firmware_slot);
  add(LogPage::changed_ns_list);
  add(LogPage::commands_supported);
  return log;
}

}  // namespace

void AdminCommands::answer_log(Queue& queue, Request& request, std::span<const std::byte> page) noexcept {
  const std::uint64_t offset = request.command.cdw12.value() | static_cast<std::uint64_t>(request.command.cdw13.value())
                                                                   << 32;
  answer_data(queue, request, offset < page.size() ? page.subspan(offset) : std::span<const std::byte>{});
}

void AdminCommands::get_log_page(Queue& queue, Request& request) noexcept {
  const spec::Command& command = request.command;
  const std::uint64_t bytes = spec::log_page_bytes(command);
  if (bytes > request.controller_to_host) return queue.finish(request, sc::sgl_length_invalid);
  if ((command.cdw12.value() & 3) != 0) return queue.finish(request, sc::invalid_field);
  request.controller_to_host = static_cast<std::uint32_t>(bytes);
  Controller& controller = *queue.controller();
  const auto page = static_cast<LogPage>(command.cdw10.value() & 0xFF);
  const bool retain = (command.cdw10.value() >> 15 & 1) != 0;
  if (!retain) controller.log_page_read(static_cast<std::uint8_t>(page));
  if (page == LogPage::supported_pages) {
    return answer_log(queue, request, bytes_of(supported_pages(controller.is_discovery())));
  }
  if (page == LogPage::error_information) return answer_log(queue, request, bytes_of(spec::ErrorLogEntry{}));
  if (controller.is_discovery()) {
    if (page != LogPage::discovery) return queue.finish(request, sc::invalid_log_page);
    try {
      [[maybe_unused]] auto handle = CurrentThread::spawn(discovery_log(queue, request), "nvmf discovery log");
    } catch (const std::exception&) {
      queue.finish(request, sc::internal_error);
    }
    return;
  }
  switch (page) {
    case LogPage::smart_health: return answer_log(queue, request, bytes_of(health()));
    case LogPage::firmware_slot: return answer_log(queue, request, bytes_of(firmware()));
    case LogPage::changed_ns_list: return answer_log(queue, request, bytes_of(changed_namespaces(controller, retain)));
    case LogPage::commands_supported: return answer_log(queue, request, bytes_of(command_effects(*queue.view())));
    default: return queue.finish(request, sc::invalid_log_page);
  }
}

Task<> AdminCommands::discovery_log(Queue& queue, Request& request) {
  std::shared_ptr<const DiscoveryLog> log;
  try {
    const std::shared_ptr<TargetState> target = queue.group().target();
    const HostConnect host = queue.controller()->host();
    auto build = [&target, &host] { return target->discovery_log(host); };
    log = co_await target->home().call(build);
  } catch (const std::exception&) {
    // The target is ending; the connection will as well.
  }
  if (log == nullptr) {
    queue.finish(request, sc::internal_error);
  } else {
    answer_log(queue, request, *log);
  }
}

}  // namespace spdkio::nvmf
