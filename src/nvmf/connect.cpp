// The Connect command.
#include <spdkio/base/clock.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/probe.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <bit>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "nvmf/admin_commands.hpp"
#include "nvmf/poll_group.hpp"
#include "nvmf/subsystem_state.hpp"
#include "nvmf/target_state.hpp"

namespace spdkio::nvmf {
namespace {

using spec::fabrics::ConnectCommand;
using spec::fabrics::ConnectData;
using Admission = TargetState::Admission;
namespace connect_sc = spec::fabrics::sc;

Admission refuse(NvmeStatus status, std::uint32_t parameter = 0) {
  status.dnr = true;
  return {nullptr, status, parameter};
}
Admission refuse_field(bool in_data, std::size_t offset) {
  return refuse(connect_sc::invalid_parameters,
                spec::fabrics::connect_invalid_parameter(in_data, static_cast<std::uint16_t>(offset)));
}

/// A host may open a queue again before this side has seen its old connection end.
constexpr std::chrono::milliseconds limit_for_old_queue{1000};
constexpr std::chrono::milliseconds look_for_old_queue{1};

/// On the thread of the connection. Command Sequence Error when the controller still has a queue of that number.
Task<NvmeStatus> add_io_queue(std::shared_ptr<Controller> controller, std::uint16_t qid, QueueAddress address) {
  auto add = [&controller, qid, address]() -> std::optional<NvmeStatus> {
    if (controller->io_queue(qid).group != nullptr) return std::nullopt;
    return controller->add_io_queue(qid, address);
  };
  const std::uint64_t limit = ticks_after(detail::ThreadCore::current()->read_clock(), limit_for_old_queue);
  for (;;) {
    const std::optional<NvmeStatus> status = co_await controller->thread.call(add);
    if (status) co_return *status;
    if (detail::ThreadCore::current()->read_clock() > limit) co_return sc::command_sequence_error;
    co_await sleep_for(look_for_old_queue);
  }
}

/// What can be said without asking anybody.
Admission check(const ConnectCommand& command, const ConnectData& data, const TransportSettings& transport) {
  if (command.recfmt.value() != 0) return refuse(connect_sc::incompatible_format);
  const std::uint32_t most = command.qid.value() == 0 ? transport.max_aq_depth : transport.max_queue_depth;
  if (command.sqsize.value() == 0 || command.sqsize.value() >= most) {
    return refuse_field(false, offsetof(ConnectCommand, sqsize));
  }
  if (!spec::fabrics::nqn_problem(spec::fabrics::field_text(data.subnqn)).empty()) {
    return refuse_field(true, offsetof(ConnectData, subnqn));
  }
  // A host without a name, such as SPDK's perf, is served by subsystems that admit every host.
  const std::string_view hostnqn = spec::fabrics::field_text(data.hostnqn);
  if (!hostnqn.empty() && !spec::fabrics::nqn_problem(hostnqn).empty()) {
    return refuse_field(true, offsetof(ConnectData, hostnqn));
  }
  return {};
}

}  // namespace

Task<> AdminCommands::connect(Queue& queue, Request& request) {
  const auto command = std::bit_cast<ConnectCommand>(request.command);
  ConnectData data;
  if (request.host_to_controller < sizeof data) {
    queue.finish(request, sc::sgl_length_invalid);
    co_return;
  }
  std::memcpy(&data, request.data.data(), sizeof data);
  if (queue.connected() || queue.connect_seen_) {
    queue.finish(request, sc::command_sequence_error);
    co_return;
  }
  queue.connect_seen_ = true;

  PollGroup& group = queue.group();
  const std::uint16_t qid = command.qid;
  const std::uint16_t cntlid = data.cntlid;
  SPDKIO_PROBE(nvmf_connect, &queue, static_cast<int>(qid), static_cast<int>(cntlid));
  HostConnect host;
  host.hostnqn = spec::fabrics::field_text(data.hostnqn);
  std::memcpy(host.hostid.bytes.data(), data.hostid.data(), data.hostid.size());
  host.subnqn = spec::fabrics::field_text(data.subnqn);
  host.listener = queue.listener();
  host.local_address = queue.local_address();
  host.peer = queue.peer();
  host.keep_alive_ms = command.kato;
  const std::string subnqn = host.subnqn;

  Admission admission = check(command, data, group.transport());
  try {
    const std::shared_ptr<TargetState> target = group.target();
    if (admission.status.ok() && qid == 0) {
      auto ask = [&target, &host, cntlid, &group] { return target->admit(host, cntlid, group.thread()); };
      admission = co_await target->home().call(ask);
    } else if (admission.status.ok()) {
      auto ask = [&target, &host, cntlid] { return target->find_controller(host, cntlid); };
      admission = co_await target->home().call(ask);
      if (admission.controller != nullptr) {
        const QueueAddress address{&group, queue.id()};
        auto adding = add_io_queue(admission.controller, qid, address);
        admission.status = co_await std::move(adding);
        if (!admission.status.ok()) admission.controller.reset();
      }
    }
  } catch (const Error&) {
    admission = refuse(connect_sc::controller_busy);  // what should have answered is ending
  }

  SubsystemView* const view = group.view(subnqn);
  if (admission.controller != nullptr) {
    Controller& controller = *admission.controller;
    queue.qid_ = qid;
    queue.sq_entries_ = command.sqsize.value() + 1u;
    queue.sq_head_ = 1 % queue.sq_entries_;
    queue.flow_control_disabled_ = (command.cattr & spec::fabrics::cattr_disable_sq_flow_control) != 0;
    queue.controller_ = admission.controller;
    queue.view_ = view;
    group.count_connected(qid == 0);
    if (view != nullptr) ++view->queues;
    if (qid == 0) {
      controller.max_io_queues = controller.granted_io_queues = group.transport().max_io_qpairs_per_ctrlr;
      controller.max_queue_entries = group.transport().max_queue_depth;
      controller.keep_alive_ms = command.kato;
      controller.last_seen_ticks = detail::ThreadCore::current()->batch_ticks();
      controller.attach_admin(queue);
    }
    queue.on_connected(command.sqsize.value() + 1u);
    if (view == nullptr) {
      // The subsystem was stopped meanwhile. The connection has to go with what it was given.
      queue.finish(request, connect_sc::controller_busy);
      queue.close("the subsystem was stopped");
      co_return;
    }
    request.completion.dw0 = std::uint32_t{controller.cntlid()};
    queue.finish(request, sc::success);
    if (qid == 0 && controller.close_wanted) queue.close("the host was disconnected by the target's owner");
    co_return;
  }
  queue.connect_seen_ = false;
  request.completion.dw0 = admission.parameter;
  NvmeStatus status = admission.status;
  status.dnr = status.sc != connect_sc::controller_busy.sc;
  queue.finish(request, status);
}

}  // namespace spdkio::nvmf
