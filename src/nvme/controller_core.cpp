#include "nvme/controller_core.hpp"

#include <spdkio/base/error_context.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "nvme/keeping.hpp"
#include "nvme/queue_calls.hpp"
#include "nvme/transport_factory.hpp"

namespace spdkio::nvme {
namespace {

constexpr std::size_t most_events = 1024;

/// Commands that may rightly take minutes.
bool takes_long(std::uint8_t opcode) noexcept {
  switch (static_cast<spec::AdminOpcode>(opcode)) {
    case spec::AdminOpcode::format_nvm:
    case spec::AdminOpcode::namespace_management:
    case spec::AdminOpcode::firmware_commit:
    case spec::AdminOpcode::sanitize: return true;
    default: return false;
  }
}

}  // namespace

ControllerCore::ControllerCore(ControllerSettings settings)
    : settings_(std::move(settings)), home_(CurrentThread::handle()) {}

ControllerCore::~ControllerCore() = default;

// ---- life

Task<std::shared_ptr<ControllerCore>> ControllerCore::connect(ControllerSettings settings,
                                                              std::unique_ptr<HostTransport> transport) {
  auto core = std::make_shared<ControllerCore>(std::move(settings));
  const ErrorContext doing("connecting to {}", core->settings_.name);
  core->transport_ = transport != nullptr ? std::move(transport) : make_transport(core->settings_, *core);
  QueueSettings admin_settings;
  admin_settings.device = core->settings_.name;
  admin_settings.entries = core->settings_.admin_queue_size;
  admin_settings.command_timeout = core->settings_.admin_timeout;
  admin_settings.open_timeout = core->settings_.connect_timeout;
  core->admin_ = std::make_shared<QueueState>(*core, std::move(admin_settings));
  auto establishing = core->establish();
  const auto established = co_await as_result(std::move(establishing));
  if (!established) {
    core->set_state(ControllerState::failed);
    core->why_failed_ = established.error();
    auto taking_down = core->take_down(false);
    co_await std::move(taking_down);
    throw established.error();
  }
  core->set_state(ControllerState::ready);
  core->ready_.set();
  auto serving = keeping(core, core->serve());
  core->serving_ = CurrentThread::spawn(std::move(serving), "nvme " + core->settings_.name);
  co_return core;
}

Task<> ControllerCore::serve() {
  const auto self = shared_from_this();
  for (;;) {
    auto waiting = wake_.wait();
    const auto waited = co_await as_result(std::move(waiting));
    if (!waited || detach_wanted_) break;
    wake_.reset();
    if (state() != ControllerState::ready || (!is_lost_ && !reset_wanted_)) continue;
    auto recovering = recover();
    const auto recovered = co_await as_result(std::move(recovering));
    if (!recovered && state() != ControllerState::failed) fail_for_good(recovered.error());
    if (detach_wanted_) break;
  }
  const bool orderly = state() == ControllerState::ready && !is_lost_;
  const Error gone = Error(std::errc::operation_canceled, "the controller was detached").with_device(settings_.name);
  why_failed_ = gone;
  refuse_queues(gone);
  auto taking_down = take_down(orderly);
  co_await std::move(taking_down);
  admin_->close(gone);
  for (const auto& space : active_namespaces()) space->active.store(false, std::memory_order_relaxed);
  set_state(ControllerState::detached);
  ready_.set();
  events_.set();
  ended_.set();
}

void ControllerCore::ask_detach() {
  detach_wanted_ = true;
  wake_.set();
  // An attempt to connect is not waited for.
  if (state() == ControllerState::reconnecting && serving_) serving_->request_stop();
}

Task<> ControllerCore::detach() {
  const auto self = shared_from_this();
  const ErrorContext doing("detaching from {}", settings_.name);
  auto ask = [self]() -> Task<> {
    self->ask_detach();
    auto waiting = self->ended_.wait();
    co_await std::move(waiting);
  };
  auto running = run_on(home_, moved(std::move(ask)));
  co_await std::move(running);
}

void ControllerCore::detach_later() noexcept {
  try {
    [[maybe_unused]] const auto sent = home_.send([self = shared_from_this()] { self->ask_detach(); });
  } catch (...) {
    log::error("{}: no memory to detach", settings_.name);
  }
}

Task<> ControllerCore::reset() {
  const auto self = shared_from_this();
  const ErrorContext doing("resetting {}", settings_.name);
  auto ask = [self]() -> Task<> {
    auto until = self->until_ready();
    co_await std::move(until);
    self->reset_wanted_ = true;
    self->ready_.reset();
    self->wake_.set();
    auto waiting = self->ready_.wait();
    co_await std::move(waiting);
    if (self->state() != ControllerState::ready && self->why_failed_) throw *self->why_failed_;
  };
  auto calling = home_.call(moved(std::move(ask)));
  co_await std::move(calling);
}

Task<> ControllerCore::until_ready() {
  for (;;) {
    switch (state()) {
      case ControllerState::ready:
        if (!reset_wanted_) co_return;
        break;
      case ControllerState::failed:
      case ControllerState::detached: throw why_failed_.value_or(Error(std::errc::not_connected));
      default: break;
    }
    auto waiting = ready_.wait();
    co_await std::move(waiting);
  }
}

void ControllerCore::set_state(ControllerState state) noexcept { state_.store(state, std::memory_order_release); }

// ---- aborts

void ControllerCore::abort_command(QueueState& queue, std::uint16_t cid) noexcept {
  const std::uint64_t attempt = attempt_.load(std::memory_order_relaxed);
  const auto keep = queue.shared_from_this();
  if (home_.is_current()) {
    if (establishing_ && queue.qid() == 0) {
      return lost(attempt, Error(std::errc::operation_canceled, "stopped while connecting"));
    }
    return start_abort(keep, cid, queue.generation(), attempt);
  }
  try {
    [[maybe_unused]] const auto sent =
        home_.send([self = shared_from_this(), keep, cid, generation = queue.generation(), attempt] {
          self->start_abort(keep, cid, generation, attempt);
        });
  } catch (...) {
    queue.release_cid(cid);
  }
}

void ControllerCore::start_abort(std::shared_ptr<QueueState> queue, std::uint16_t cid, std::uint64_t generation,
                                 std::uint64_t attempt) noexcept {
  if (attempt == attempt_.load(std::memory_order_relaxed) && upkeep_ && abort_slots_ && !upkeep_->stop_requested()) {
    try {
      upkeep_->spawn(abort_task(queue, cid, generation));
      return;
    } catch (...) {
    }
  }
  tell(queue, [cid, generation](QueueState& self) {
    if (self.generation() == generation) self.release_cid(cid);
  });
}

Task<> ControllerCore::abort_task(std::shared_ptr<QueueState> queue, std::uint16_t cid, std::uint64_t generation) {
  auto acquiring = abort_slots_->acquire();
  auto permit = co_await as_result(std::move(acquiring));
  if (permit) {
    auto aborting = admin_now(spec::abort_command(queue->qid(), cid), {}, "abort");
    const auto aborted = co_await as_result(std::move(aborting));
    if (!aborted) log::debug("{}: {}", settings_.name, aborted.error().what());
  }
  tell(queue, [cid, generation](QueueState& self) {
    if (self.generation() == generation) self.release_cid(cid);
  });
}

// ---- queue pairs

Task<std::uint16_t> ControllerCore::reserve_qid_when_ready() {
  auto until = until_ready();
  co_await std::move(until);
  const std::uint32_t granted = granted_queues();
  if (qids_.size() < granted + 1) qids_.resize(granted + 1);
  for (std::uint32_t qid = 1; qid <= granted; ++qid) {
    if (qids_[qid]) continue;
    qids_[qid] = true;
    co_return static_cast<std::uint16_t>(qid);
  }
  throw Error(std::errc::no_space_on_device,
              fmt::format("all {} I/O queue pairs of the controller are in use", granted))
      .with_operation("alloc_io_qpair")
      .with_device(settings_.name)
      .with_hint("raise ControllerOptions::num_io_queues, or the limit of the controller");
}

void ControllerCore::forget_queue(const QueueState* queue) noexcept {
  std::erase_if(queues_, [queue](const auto& known) { return known.get() == queue; });
  if (queue->qid() < qids_.size()) qids_[queue->qid()] = false;
}

Task<std::shared_ptr<QueueState>> ControllerCore::open_queue(QpairOptions options) {
  const auto self = shared_from_this();
  const ErrorContext doing("opening a queue pair of {}", settings_.name);
  auto reserve = [self] { return self->reserve_qid_when_ready(); };
  auto reserving = home_.call(moved(std::move(reserve)));
  const std::uint16_t qid = co_await std::move(reserving);

  const std::uint32_t wanted = options.queue_size != 0 ? options.queue_size : settings_.io_queue_size;
  QueueSettings queue_settings;
  queue_settings.device = settings_.name;
  queue_settings.qid = qid;
  queue_settings.entries = std::clamp(
      wanted, 2u, std::min({capabilities().max_queue_entries(), transport_->limits().max_queue_entries, 32768u}));
  queue_settings.poll = options.poll;
  queue_settings.command_timeout = settings_.io_timeout;
  queue_settings.open_timeout = settings_.connect_timeout;
  queue_settings.retries = settings_.retries;
  auto queue = std::make_shared<QueueState>(*this, std::move(queue_settings));
  if (auto data = identify()) queue->set_retry_delays({data->crdt[0], data->crdt[1], data->crdt[2]});
  auto add = [self, queue] { self->queues_.push_back(queue); };
  auto adding = home_.call(moved(std::move(add)));
  co_await std::move(adding);

  auto opening = queue->open(*transport_, in_capsule_bytes_.load(std::memory_order_relaxed));
  const auto opened = co_await as_result(std::move(opening));
  if (!opened) {
    auto closing = close_queue(queue);
    co_await std::move(closing);
    throw opened.error();
  }
  co_return queue;
}

Task<> ControllerCore::close_queue(std::shared_ptr<QueueState> queue) {
  const auto self = shared_from_this();
  queue->close(Error(std::errc::operation_canceled, "the queue pair was closed"));
  auto stopping = queue->stop(true);
  co_await std::move(stopping);
  auto forget = [self, queue]() -> Task<> {
    self->forget_queue(queue.get());
    co_return;
  };
  auto running = run_on(home_, moved(std::move(forget)));
  co_await std::move(running);
}

// ---- admin commands

Operation<spec::Completion> ControllerCore::admin_now(const spec::Command& command, DmaSpan data, const char* name,
                                                      bool timed) const {
  Operation<spec::Completion> operation(admin_.get(), name);
  operation.command = command;
  operation.timed = timed && !takes_long(command.opcode);
  if (!data.empty()) operation.set_data(data, spec::fabrics::data_transfer_of(command));
  return operation;
}

Task<spec::Completion> ControllerCore::admin_at_home(spec::Command command, DmaSpan data, const char* name) {
  auto until = until_ready();
  co_await std::move(until);
  auto operation = admin_now(command, data, name);
  co_return co_await operation;
}

Task<spec::Completion> ControllerCore::admin(spec::Command command, DmaSpan data, const char* name) {
  const auto self = shared_from_this();
  auto run = [self, command, data, name] { return self->admin_at_home(command, data, name); };
  auto calling = home_.call(moved(std::move(run)));
  co_return co_await std::move(calling);
}

Task<spec::Completion> ControllerCore::admin_now_anywhere(spec::Command command) {
  const auto self = shared_from_this();
  auto run = [self, command]() -> Task<spec::Completion> {
    auto operation = self->admin_now(command, {}, "admin command");
    co_return co_await operation;
  };
  auto calling = home_.call(moved(std::move(run)));
  co_return co_await std::move(calling);
}

// ---- events and facts

void ControllerCore::add_event(ControllerEvent event) noexcept {
  try {
    if (event_queue_.size() >= most_events) event_queue_.pop_front();
    event_queue_.push_back(std::move(event));
    events_.set();
  } catch (...) {
    log::error("{}: no memory for an event", settings_.name);
  }
}

Task<std::optional<ControllerEvent>> ControllerCore::next_event() {
  for (;;) {
    if (!event_queue_.empty()) {
      ControllerEvent event = std::move(event_queue_.front());
      event_queue_.pop_front();
      co_return event;
    }
    if (state() == ControllerState::detached) co_return std::nullopt;
    events_.reset();
    auto waiting = events_.wait();
    co_await std::move(waiting);
  }
}

std::shared_ptr<const spec::IdentifyController> ControllerCore::identify() const {
  const std::lock_guard lock(mutex_);
  return identify_;
}

std::shared_ptr<NamespaceState> ControllerCore::find_namespace(std::uint32_t nsid) const {
  const std::lock_guard lock(mutex_);
  const auto found = spaces_.find(nsid);
  return found != spaces_.end() ? found->second : nullptr;
}

std::vector<std::shared_ptr<NamespaceState>> ControllerCore::active_namespaces() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<NamespaceState>> active;
  for (const auto& [nsid, space] : spaces_) {
    if (space->active.load(std::memory_order_relaxed)) active.push_back(space);
  }
  return active;
}

}  // namespace spdkio::nvme
