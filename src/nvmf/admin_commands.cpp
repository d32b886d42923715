#include "nvmf/admin_commands.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/runtime/thread.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "nvmf/poll_group.hpp"

namespace spdkio::nvmf {

using spec::AdminOpcode;

void AdminCommands::execute(Queue& queue, Request& request) noexcept {
  request.stage = Stage::executing;
  const spec::Command& command = request.command;
  // Memory for the answer first: from here on a command is carried out once.
  if (request.controller_to_host > 0 && !request.buffer) {
    if (!queue.take_buffer(request, request.controller_to_host)) return;
    request.stage = Stage::executing;
  }
  if (command.opcode == spec::fabrics::opcode) return fabrics(queue, request);
  Controller& controller = *queue.controller();
  controller.last_seen_ticks = detail::ThreadCore::current()->batch_ticks();
  const auto opcode = static_cast<AdminOpcode>(command.opcode);
  if (!controller.enabled()) return queue.finish(request, sc::command_sequence_error);
  switch (opcode) {
    case AdminOpcode::identify: return identify(queue, request);
    case AdminOpcode::get_log_page: return get_log_page(queue, request);
    case AdminOpcode::get_features: return get_features(queue, request);
    case AdminOpcode::set_features: return set_features(queue, request);
    case AdminOpcode::keep_alive: return queue.finish(request, sc::success);
    case AdminOpcode::async_event_request: return async_event_request(queue, request);
    case AdminOpcode::abort:
      if (controller.is_discovery()) break;
      return abort(queue, request);
    default: break;
  }
  queue.finish(request, sc::invalid_opcode);
}

void AdminCommands::answer_data(Queue& queue, Request& request, std::span<const std::byte> data) noexcept {
  const std::size_t size = std::min<std::size_t>(request.controller_to_host, data.size());
  if (size != 0) std::memcpy(request.data.data(), data.data(), size);
  if (size < request.controller_to_host) {
    std::memset(request.data.data() + size, 0, request.controller_to_host - size);
  }
  queue.finish(request, sc::success);
}

void AdminCommands::fabrics(Queue& queue, Request& request) noexcept {
  using spec::fabrics::CommandType;
  const CommandType type = spec::fabrics::command_type(request.command);
  if (type == CommandType::connect) {
    try {
      [[maybe_unused]] auto handle = CurrentThread::spawn(connect(queue, request), "nvmf connect");
    } catch (const std::exception& error) {
      log::error("nvmf: cannot handle a Connect command: {}", error.what());
      queue.finish(request, sc::internal_error);
    }
    return;
  }
  if (queue.qid() != 0) return queue.finish(request, sc::invalid_opcode);
  queue.controller()->last_seen_ticks = detail::ThreadCore::current()->batch_ticks();
  switch (type) {
    case CommandType::property_get: return property_get(queue, request);
    case CommandType::property_set: return property_set(queue, request);
    default: return queue.finish(request, sc::invalid_opcode);
  }
}

void AdminCommands::property_get(Queue& queue, Request& request) noexcept {
  const auto command = std::bit_cast<spec::fabrics::PropertyGetCommand>(request.command);
  const unsigned size = command.attrib & 7;
  bool known = size <= 1;
  const std::uint64_t value = known ? queue.controller()->property(command.offset, size == 1 ? 8 : 4, known) : 0;
  // A host that looks which properties there are may ask again, later: no DNR. nvme-cli 2.3 takes nothing else for
  // "there is no such property" when it shows them all.
  if (!known) return queue.finish(request, nvme_sc::invalid_field);
  request.completion.dw0 = static_cast<std::uint32_t>(value);
  request.completion.dw1 = static_cast<std::uint32_t>(value >> 32);
  queue.finish(request, sc::success);
}

void AdminCommands::property_set(Queue& queue, Request& request) noexcept {
  const auto command = std::bit_cast<spec::fabrics::PropertySetCommand>(request.command);
  const bool four_bytes = (command.attrib & 7) == 0;
  const bool done = four_bytes && queue.controller()->set_property(command.offset, command.value.value() & 0xFFFF'FFFF);
  queue.finish(request, done ? sc::success : sc::invalid_field);
}

void AdminCommands::async_event_request(Queue& queue, Request& request) noexcept {
  if (!queue.controller()->add_async_event_request(request)) queue.finish(request, sc::async_event_limit_exceeded);
}

void AdminCommands::abort(Queue& queue, Request& request) noexcept {
  const auto sqid = static_cast<std::uint16_t>(request.command.cdw10.value() & 0xFFFF);
  const auto cid = static_cast<std::uint16_t>(request.command.cdw10.value() >> 16);
  request.completion.dw0 = 1u;  // not aborted
  if (sqid == 0) {
    if (queue.abort(cid)) request.completion.dw0 = 0u;
    return queue.finish(request, sc::success);
  }
  const QueueAddress address = queue.controller()->io_queue(sqid);
  if (address.group == nullptr) return queue.finish(request, sc::invalid_field);
  try {
    [[maybe_unused]] auto handle = CurrentThread::spawn(abort_on(queue, request, address, cid), "nvmf abort");
  } catch (const std::exception&) {
    queue.finish(request, sc::success);
  }
}

Task<> AdminCommands::abort_on(Queue& queue, Request& request, QueueAddress address, std::uint16_t cid) {
  bool aborted = false;
  try {
    auto on_its_thread = [address, cid] {
      Queue* const target = address.group->find(address.id);
      return target != nullptr && target->abort(cid);
    };
    aborted = co_await address.group->thread().call(on_its_thread);
  } catch (const Error&) {
    // The thread ends: so does the command, with its connection.
  }
  request.completion.dw0 = aborted ? 0u : 1u;
  queue.finish(request, sc::success);
}

}  // namespace spdkio::nvmf
