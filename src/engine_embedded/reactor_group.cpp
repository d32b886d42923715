#include "engine_embedded/reactor_group.hpp"

#include <spdkio/base/clock.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <csignal>
#include <utility>

namespace spdkio::embedded {
namespace {

/// Pollers that find work in every round never let all be quiet at once; they do not hold up the end longer than this.
constexpr std::chrono::milliseconds busy_pollers_limit{1000};

cpu_set_t to_cpu_set_t(unsigned core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  return set;
}

void pin(pthread_t thread, unsigned core) {
  const cpu_set_t set = to_cpu_set_t(core);
  if (const int error = ::pthread_setaffinity_np(thread, sizeof set, &set); error != 0) {
    throw Error::from_errno(error, fmt::format("cannot run on core {}", core)).with_operation("pthread_setaffinity_np");
  }
}

/// Keeps the calling OS thread on a core, and lets it go where it was allowed before. Where the system has changed its
/// mind about the core since the start, it runs where it may.
class PinnedHere {
 public:
  PinnedHere(bool wanted, unsigned core) {
    if (!wanted || ::pthread_getaffinity_np(::pthread_self(), sizeof before_, &before_) != 0) return;
    try {
      pin(::pthread_self(), core);
      pinned_ = true;
    } catch (const Error& error) {
      log::warn("the main reactor is not bound to its core: {}", error.what());
    }
  }
  PinnedHere(const PinnedHere&) = delete;
  PinnedHere& operator=(const PinnedHere&) = delete;
  ~PinnedHere() {
    if (pinned_) ::pthread_setaffinity_np(::pthread_self(), sizeof before_, &before_);
  }

 private:
  bool pinned_ = false;
  cpu_set_t before_{};
};

/// OS threads started in its life handle no signals: those are for the threads of the program.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t blocked;
    ::sigfillset(&blocked);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) ::sigdelset(&blocked, fault);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

Error no_reactors(const char* operation) {
  return Error(Misuse::not_started, "the engine was started without reactors")
      .with_operation(operation)
      .with_hint("set EnvOptions::reactors or use App; without them use Thread::attach");
}

}  // namespace

ReactorGroup::ReactorGroup(ReactorGroupOptions options) : options_(std::move(options)) {
  policy_.mode = options_.poll_mode;
  policy_.spin_ticks = ticks_from(options_.idle_spin);
  for (const unsigned core : options_.cores) {
    reactors_.push_back(std::make_unique<Reactor>(CoreId{core}, policy_));
    if (core == options_.main_core) main_ = reactors_.back().get();
  }
  detail::ThreadHost::install(this);
  if (main_ == nullptr) return;

  main_->on_stop_request([this] { stop_everything(); });
  try {
    for (const auto& reactor : reactors_) {
      if (reactor.get() != main_ || options_.main_reactor == MainReactor::own_thread) start_worker(*reactor);
    }
  } catch (...) {
    for (const auto& reactor : reactors_) reactor->finish();
    join_workers();
    detail::ThreadHost::install(nullptr);
    throw;
  }
  detail::CoreHost::install(this);
}

ReactorGroup::~ReactorGroup() {
  if (main_ != nullptr) {
    request_stop();
    if (options_.main_reactor == MainReactor::caller && !ran_) {
      main_->run();  // Threads may have been placed on it all the same
    }
    join_workers();
  }
  detail::CoreHost::install(nullptr);
  detail::ThreadHost::install(nullptr);
}

void ReactorGroup::start_worker(Reactor& reactor) {
  const SignalsBlocked blocked;
  std::thread& worker = workers_.emplace_back([&reactor] { reactor.run(); });
  const unsigned core = std::to_underlying(reactor.core());
  if (options_.pinned) pin(worker.native_handle(), core);
  const std::string name = fmt::format("{:.10}/{}", options_.name, core);  // the kernel keeps 15 characters
  ::pthread_setname_np(worker.native_handle(), name.substr(0, 15).c_str());
}

void ReactorGroup::join_workers() noexcept {
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void ReactorGroup::run() {
  if (main_ == nullptr) throw no_reactors("ReactorService::run");
  if (options_.main_reactor == MainReactor::own_thread) {
    throw Error(Misuse::already_started, "the main reactor has an OS thread of its own")
        .with_operation("ReactorService::run");
  }
  if (const auto* thread = detail::ThreadCore::current()) {
    throw Error(Misuse::already_started, "this OS thread already acts for thread '" + thread->name() + "'")
        .with_operation("ReactorService::run");
  }
  if (ran_.exchange(true)) {
    throw Error(Misuse::already_started, "the reactors were run before").with_operation("ReactorService::run");
  }
  const PinnedHere pinned(options_.pinned, std::to_underlying(main_->core()));
  main_->run();
  join_workers();
}

void ReactorGroup::request_stop() noexcept {
  if (main_ != nullptr) main_->request_stop();
}

std::vector<engine::ReactorInfo> ReactorGroup::info() const {
  std::vector<engine::ReactorInfo> infos;
  for (const auto& reactor : reactors_) infos.push_back(reactor->info());
  return infos;
}

void ReactorGroup::set_poll_mode(PollMode mode) {
  policy_.mode = mode;
  for (const auto& reactor : reactors_) reactor->reconsider();
}

std::shared_ptr<detail::ThreadCore> ReactorGroup::place_thread(std::string name, const CpuSet& cpumask) {
  if (main_ == nullptr) throw no_reactors("Thread::create").with_device(name);
  if (stopping_) throw Error(Misuse::not_started, "the engine is stopping").with_operation("Thread::create");
  const CpuSet usable = cpumask.empty() ? options_.cores : cpumask & options_.cores;
  if (usable.empty()) {
    throw Error(Misuse::invalid_argument,
                fmt::format("no reactor runs on any of the cores {}; there are reactors on {}",
                            cpumask.to_list_string(), options_.cores.to_list_string()))
        .with_operation("Thread::create")
        .with_device(name);
  }
  Reactor* lightest = nullptr;
  std::size_t fewest = 0;
  for (const unsigned core : usable) {
    Reactor& reactor = reactor_of(CoreId{core});
    const std::size_t count = reactor.thread_count();
    if (lightest == nullptr || count < fewest) {
      lightest = &reactor;
      fewest = count;
    }
  }
  auto thread = std::make_shared<detail::ThreadCore>(std::move(name), usable);
  if (!lightest->place(thread)) {
    throw Error(Misuse::not_started, "the engine is stopping").with_operation("Thread::create");
  }
  return thread;
}

Reactor& ReactorGroup::reactor_of(CoreId core) const {
  return **std::ranges::find(reactors_, core, [](const auto& reactor) { return reactor->core(); });
}

std::vector<CoreId> ReactorGroup::cores() const {
  std::vector<CoreId> cores;
  for (const auto& reactor : reactors_) cores.push_back(reactor->core());
  return cores;
}

Result<> ReactorGroup::send_event(CoreId core, std::move_only_function<void()> fn) {
  const unsigned number = std::to_underlying(core);
  if (!options_.cores.contains(number)) {
    return std::unexpected(
        Error(Misuse::invalid_argument,
              fmt::format("core {} has no reactor; there are reactors on {}", number, options_.cores.to_list_string()))
            .with_operation("LcoreEvent::send"));
  }
  if (!reactor_of(core).send_event(std::move(fn))) {
    return std::unexpected(Error(Misuse::not_started, fmt::format("the reactor of core {} has ended", number))
                               .with_operation("LcoreEvent::send"));
  }
  return {};
}

// Threads end together, not one by one as they empty: until every task is gone, one of them may still need another
// Thread to close what it left there. A token travels round the reactors to find that moment. Each passes it on when
// all of its own Threads are empty, and marks it unless nothing happened there since the last time. Once a whole circle
// is unmarked there was an instant between the two visits of each at which nothing ran and no message was on its way.
void ReactorGroup::stop_everything() {
  stopping_ = true;
  for (const auto& reactor : reactors_) reactor->stop_tasks();
  circulate(0, true);
}

void ReactorGroup::circulate(std::size_t index, bool quiet) {
  reactors_[index]->take_token(quiet, [this, index](bool still_quiet) {
    if (index + 1 < reactors_.size()) {
      circulate(index + 1, still_quiet);
    } else {
      circle_complete(still_quiet);
    }
  });
}

void ReactorGroup::circle_complete(bool quiet) {
  const std::uint64_t now = ticks();
  const bool had_to_wait = now - last_circle_ticks_ > ticks_from(busy_pollers_limit / 10);
  if (first_circle_ticks_ == 0 || had_to_wait) first_circle_ticks_ = now;
  last_circle_ticks_ = now;
  const bool long_enough = now - first_circle_ticks_ > ticks_from(busy_pollers_limit);
  if (!quiet && !long_enough) return circulate(0, true);
  if (!quiet) log::warn("stopping: pollers are still busy; their threads end now");
  for (const auto& reactor : reactors_) reactor->finish();
}

}  // namespace spdkio::embedded
