// The Get Features and Set Features commands.
#include <spdkio/spec/features.hpp>

#include <algorithm>
#include <cstring>

#include "nvmf/admin_commands.hpp"
#include "nvmf/poll_group.hpp"

namespace spdkio::nvmf {
namespace {

using spec::Feature;

constexpr std::size_t host_identifier_bytes = 16;

bool for_discovery(Feature feature) noexcept {
  return feature == Feature::keep_alive_timer || feature == Feature::async_event_configuration;
}

bool changeable(Feature feature) noexcept {
  return feature != Feature::volatile_write_cache && feature != Feature::host_identifier;
}

bool known(Feature feature) noexcept {
  switch (feature) {
    case Feature::arbitration:
    case Feature::power_management:
    case Feature::temperature_threshold:
    case Feature::error_recovery:
    case Feature::volatile_write_cache:
    case Feature::number_of_queues:
    case Feature::write_atomicity:
    case Feature::async_event_configuration:
    case Feature::keep_alive_timer:
    case Feature::host_behavior_support:
    case Feature::host_identifier: return true;
    default: return false;
  }
}

std::uint32_t granted_queues(const Controller& controller) noexcept {
  return spec::NumberOfQueues{controller.granted_io_queues, controller.granted_io_queues}.encode();
}

/// The simple ones.
std::uint32_t* value_of(Controller& controller, Feature feature) noexcept {
  switch (feature) {
    case Feature::arbitration: return &controller.arbitration;
    case Feature::power_management: return &controller.power_management;
    case Feature::temperature_threshold: return &controller.temperature_threshold;
    case Feature::error_recovery: return &controller.error_recovery;
    case Feature::write_atomicity: return &controller.write_atomicity;
    case Feature::async_event_configuration: return &controller.async_event_configuration;
    default: return nullptr;
  }
}

}  // namespace

void AdminCommands::get_features(Queue& queue, Request& request) noexcept {
  Controller& controller = *queue.controller();
  const auto feature = static_cast<Feature>(request.command.cdw10.value() & 0xFF);
  const std::uint32_t select = request.command.cdw10.value() >> 8 & 7;
  const std::uint32_t room = std::exchange(request.controller_to_host, 0);
  if (!known(feature) || (controller.is_discovery() && !for_discovery(feature)) || select > 3) {
    return queue.finish(request, sc::invalid_field);
  }
  if (select == 3) {  // capabilities: not saved, not per namespace
    request.completion.dw0 = changeable(feature) ? 0x4u : 0u;
    return queue.finish(request, sc::success);
  }
  if (const std::uint32_t* value = value_of(controller, feature)) {
    if (feature == Feature::temperature_threshold && (request.command.cdw11.value() >> 16 & 0xF) != 0) {
      return queue.finish(request, sc::invalid_field);  // there is one sensor
    }
    request.completion.dw0 = *value;
    return queue.finish(request, sc::success);
  }
  switch (feature) {
    case Feature::number_of_queues: request.completion.dw0 = granted_queues(controller); break;
    case Feature::keep_alive_timer: request.completion.dw0 = controller.keep_alive_ms; break;
    case Feature::volatile_write_cache: request.completion.dw0 = 1u; break;
    case Feature::host_behavior_support:
      if (room < controller.host_behavior.size()) return queue.finish(request, sc::sgl_length_invalid);
      request.controller_to_host = static_cast<std::uint32_t>(controller.host_behavior.size());
      return answer_data(queue, request, std::as_bytes(std::span(controller.host_behavior)));
    case Feature::host_identifier:
      // Fabrics hosts have identifiers of 128 bits.
      if ((request.command.cdw11.value() & 1) == 0) return queue.finish(request, sc::invalid_field);
      if (room < host_identifier_bytes) return queue.finish(request, sc::sgl_length_invalid);
      request.controller_to_host = host_identifier_bytes;
      return answer_data(queue, request, std::as_bytes(std::span(controller.host().hostid.bytes)));
    default: break;
  }
  queue.finish(request, sc::success);
}

void AdminCommands::set_features(Queue& queue, Request& request) noexcept {
  Controller& controller = *queue.controller();
  const auto feature = static_cast<Feature>(request.command.cdw10.value() & 0xFF);
  const std::uint32_t value = request.command.cdw11;
  if (!known(feature) || (controller.is_discovery() && !for_discovery(feature))) {
    return queue.finish(request, sc::invalid_field);
  }
  if ((request.command.cdw10.value() >> 31) != 0) return queue.finish(request, sc::feature_not_saveable);
  if (!changeable(feature)) return queue.finish(request, sc::feature_not_changeable);
  switch (feature) {
    case Feature::power_management:
      if ((value & 0x1F) != 0) return queue.finish(request, sc::invalid_field);  // there is one power state
      break;
    case Feature::temperature_threshold:
      if ((value >> 16 & 0xF) != 0) return queue.finish(request, sc::invalid_field);
      break;
    case Feature::number_of_queues: {
      if ((value & 0xFFFF) == 0xFFFF || value >> 16 == 0xFFFF) return queue.finish(request, sc::invalid_field);
      if (controller.io_queue_count != 0) return queue.finish(request, sc::command_sequence_error);
      const auto wanted = spec::NumberOfQueues::decode(value);
      const std::uint32_t queues = std::min(wanted.submission, wanted.completion);
      controller.granted_io_queues = std::min(queues, controller.max_io_queues);
      request.completion.dw0 = granted_queues(controller);
      return queue.finish(request, sc::success);
    }
    case Feature::keep_alive_timer: controller.keep_alive_ms = value; return queue.finish(request, sc::success);
    case Feature::host_behavior_support:
      if (request.host_to_controller < controller.host_behavior.size()) {
        return queue.finish(request, sc::sgl_length_invalid);
      }
      std::memcpy(controller.host_behavior.data(), request.data.data(), controller.host_behavior.size());
      return queue.finish(request, sc::success);
    default: break;
  }
  *value_of(controller, feature) = value;
  queue.finish(request, sc::success);
}

}  // namespace spdkio::nvmf
