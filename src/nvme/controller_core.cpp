#include "nvme/controller_core.hpp"

#include <spdkio/base/clock.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/stop_token.hpp>
#include <spdkio/runtime/with_timeout.hpp>
#include <spdkio/spec/fabrics.hpp>
#include <spdkio/spec/features.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "nvme/keeping.hpp"
#include "nvme/transport_factory.hpp"

namespace spdkio::nvme {
namespace {

constexpr std::size_t most_events = 1024;
constexpr std::chrono::seconds longest_shutdown{5};

/// Runs `task()` on another Thread, or here if it is this one; a Thread that has ended has nothing to do it with.
template <class F>
Task<> run_on(ThreadHandle thread, F task) {
  if (thread.is_current()) {
    auto running = task();
    co_await std::move(running);
    co_return;
  }
  auto calling = thread.call(moved(std::move(task)));
  const auto called = co_await as_result(std::move(calling));
  if (!called) log::debug("nvme: thread '{}': {}", thread.name(), called.error().what());
}

Task<> stop_queue(std::shared_ptr<QueueState> queue, bool orderly) {
  const ThreadHandle thread = queue->thread();
  auto stop = [queue, orderly] { return queue->stop(orderly); };
  auto running = run_on(thread, moved(std::move(stop)));
  co_await std::move(running);
}

/// Calls `f` on the queue's Thread, soon.
template <class F>
void tell(const std::shared_ptr<QueueState>& queue, F f) noexcept {
  if (queue->thread().is_current()) return f(*queue);
  try {
    [[maybe_unused]] const auto sent = queue->thread().send([queue, f = std::move(f)] { f(*queue); });
  } catch (...) {
    log::error("{}: no memory to tell queue {} what happened", queue->settings().device, queue->qid());
  }
}

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

std::chrono::nanoseconds since(std::uint64_t start_ticks) noexcept {
  const auto* core = spdkio::detail::ThreadCore::current();
  return ns_from_ticks(core->read_clock() - start_ticks);
}

}  // namespace

ControllerCore::ControllerCore(ControllerSettings settings)
    : settings_(std::move(settings)), home_(CurrentThread::handle()) {}

ControllerCore::~ControllerCore() = default;

// ---- life

Task<std::shared_ptr<ControllerCore>> ControllerCore::connect(ControllerSettings settings,
                                                              std::unique_ptr<HostTransport> transport) {
  auto core = std::make_shared<ControllerCore>(std::move(settings));
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

// ---- loss and return

void ControllerCore::queue_lost(QueueState& queue, const Error& why) noexcept {
  const std::uint64_t attempt = attempt_.load(std::memory_order_relaxed);
  if (home_.is_current()) return lost(attempt, why);
  try {
    [[maybe_unused]] const auto sent =
        home_.send([self = shared_from_this(), attempt, why] { self->lost(attempt, why); });
  } catch (...) {
    log::error("{}: no memory to report that queue {} was lost", settings_.name, queue.qid());
  }
}

void ControllerCore::lost(std::uint64_t attempt, const Error& why) noexcept {
  if (attempt != attempt_.load(std::memory_order_relaxed) || is_lost_) return;
  is_lost_ = true;
  why_lost_ = why;
  if (establishing_) abandon_attempt();
  wake_.set();
}

/// What is being set up hears of the loss: its commands end.
void ControllerCore::abandon_attempt() noexcept {
  admin_->refuse(*why_lost_);
  try {
    CurrentThread::spawn(keeping(shared_from_this(), admin_->stop(false)), "nvme abandon").detach();
  } catch (...) {
    log::error("{}: no memory to give an attempt to connect up", settings_.name);
  }
}

Task<> ControllerCore::recover() {
  const bool by_request = std::exchange(reset_wanted_, false) && !is_lost_;
  const Error why = is_lost_ ? *why_lost_ : Error(std::errc::connection_reset, "reset was asked for");
  is_lost_ = true;  // reports of other queues say nothing new
  const std::uint64_t start = spdkio::detail::ThreadCore::current()->read_clock();
  set_state(ControllerState::reconnecting);
  ready_.reset();
  if (by_request) {
    log::info("{}: resetting", settings_.name);
  } else {
    log::warn("{}: lost: {}", settings_.name, why.what());
  }
  add_event({.kind = ControllerEvent::Kind::disconnected, .text = why.what()});
  auto taking_down = take_down(false);
  co_await std::move(taking_down);
  const ReconnectPolicy& policy = settings_.reconnect;
  if (!policy.enabled && !by_request) {
    fail_for_good(why);
    co_return;
  }

  const StopToken stop = co_await stop_token();
  std::chrono::nanoseconds delay = by_request ? std::chrono::milliseconds{0} : policy.initial_delay;
  std::chrono::nanoseconds next_attempt = delay;
  bool refusing = false;
  for (;;) {
    if (detach_wanted_ || stop.stop_requested()) co_return;
    const std::chrono::nanoseconds elapsed = since(start);
    if (policy.give_up_after.count() >= 0 && elapsed >= policy.give_up_after) {
      fail_for_good(
          why.with_context(fmt::format("reconnecting to {} for {} ms", settings_.name, policy.give_up_after.count())));
      co_return;
    }
    if (policy.fail_io_after.count() >= 0 && elapsed >= policy.fail_io_after && !refusing) {
      refusing = true;
      refuse_queues(Error(std::errc::not_connected, why.what()));
    }
    if (elapsed < next_attempt) {
      std::chrono::nanoseconds pause = next_attempt - elapsed;
      if (policy.give_up_after.count() >= 0) pause = std::min(pause, policy.give_up_after - elapsed);
      if (policy.fail_io_after.count() >= 0 && !refusing) pause = std::min(pause, policy.fail_io_after - elapsed);
      auto waiting = wait_for_attempt(pause);
      co_await std::move(waiting);
      continue;
    }
    auto attempting = attempt();
    const auto attempted = co_await as_result(std::move(attempting));
    if (attempted) break;
    log::debug("{}: {}", settings_.name, attempted.error().what());
    auto going_down = take_down(false);
    co_await std::move(going_down);
    delay = std::clamp<std::chrono::nanoseconds>(2 * delay, std::chrono::milliseconds{10},
                                                 std::max(policy.max_delay, std::chrono::milliseconds{10}));
    next_attempt = since(start) + delay;
  }
  log::info("{}: connected again after {} ms", settings_.name,
            std::chrono::duration_cast<std::chrono::milliseconds>(since(start)).count());
  set_state(ControllerState::ready);
  ready_.set();
  add_event({.kind = ControllerEvent::Kind::reconnected});
}

Task<> ControllerCore::attempt() {
  auto establishing = establish();
  co_await std::move(establishing);
  let_queues_wait();
  auto reopening = reopen_queues();
  co_await std::move(reopening);
  if (is_lost_) throw *why_lost_;
}

/// Ends early when something else is to be done.
Task<> ControllerCore::wait_for_attempt(std::chrono::nanoseconds delay) {
  auto limited = with_timeout(delay, wake_.wait());
  if (co_await as_result(std::move(limited))) wake_.reset();
}

Task<> ControllerCore::take_down(bool orderly) {
  auto stopping = stop_queues(orderly);
  co_await std::move(stopping);
  if (orderly) {
    auto limited = with_timeout(longest_shutdown, shut_down_controller());
    const auto shut_down = co_await as_result(std::move(limited));
    if (!shut_down) log::debug("{}: shutdown: {}", settings_.name, shut_down.error().what());
  }
  admin_->refuse(
      why_failed_.value_or(why_lost_.value_or(Error(std::errc::not_connected, "the connection was closed"))));
  auto stopping_admin = admin_->stop(orderly);
  co_await std::move(stopping_admin);
  if (upkeep_) {
    upkeep_->request_stop();
    auto joining = upkeep_->join();
    [[maybe_unused]] const auto joined = co_await as_result(std::move(joining));
    upkeep_.reset();
  }
  auto closing = transport_->close();
  co_await std::move(closing);
}

Task<> ControllerCore::stop_queues(bool orderly) {
  const auto queues = queues_;
  Scope scope("nvme stop queues");
  for (const auto& queue : queues) {
    try {
      scope.spawn(stop_queue(queue, orderly));
    } catch (const Error& error) {
      log::error("{}: queue {}: {}", settings_.name, queue->qid(), error.what());
    }
  }
  auto joining = scope.join();
  [[maybe_unused]] const auto joined = co_await as_result(std::move(joining));
}

Task<> ControllerCore::reopen_queues() {
  const auto queues = queues_;
  for (const auto& queue : queues) {
    if (queue->qid() > granted_queues()) {
      throw Error(std::errc::no_space_on_device,
                  fmt::format("the controller grants {} queues now, {} is in use", granted_queues(), queue->qid()))
          .with_device(settings_.name);
    }
    auto open = [this, queue] { return queue->open(*transport_, in_capsule_bytes_.load(std::memory_order_relaxed)); };
    auto calling = queue->thread().call(moved(std::move(open)));
    const auto opened = co_await as_result(std::move(calling));
    // A queue whose Thread has ended is nobody's any more.
    if (!opened && queue->thread().state() != ThreadState::exited) throw opened.error();
  }
}

/// Tells the controller that the host goes, and waits until it has done what it wants to do before.
Task<> ControllerCore::shut_down_controller() {
  auto reading = transport_->get_property(spec::Property::cc, 4);
  const spec::Configuration cc{static_cast<std::uint32_t>(co_await std::move(reading))};
  auto writing = transport_->set_property(spec::Property::cc, 4, cc.with_shutdown(1).value);
  co_await std::move(writing);
  for (;;) {
    auto looking = transport_->get_property(spec::Property::csts, 4);
    const spec::ControllerStatus csts{static_cast<std::uint32_t>(co_await std::move(looking))};
    if (csts.shutdown_status() == 2 || csts.gone()) co_return;
    co_await sleep_for(std::chrono::milliseconds{10});
  }
}

void ControllerCore::refuse_queues(const Error& why) {
  for (const auto& queue : queues_) tell(queue, [why](QueueState& self) { self.refuse(why); });
}

void ControllerCore::let_queues_wait() {
  for (const auto& queue : queues_) tell(queue, [](QueueState& self) { self.wait_again(); });
}

void ControllerCore::fail_for_good(Error why) {
  log::error("{}: given up: {}", settings_.name, why.what());
  why_failed_ = why.with_device(settings_.name);
  refuse_queues(*why_failed_);
  admin_->refuse(*why_failed_);
  set_state(ControllerState::failed);
  ready_.set();
  add_event({.kind = ControllerEvent::Kind::failed, .text = why.what()});
}

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
