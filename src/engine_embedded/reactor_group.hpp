// ReactorGroup: the reactors of an engine, where Threads are placed, and how all of it ends in order.
#pragma once

#include <spdkio/base/cpu_set.hpp>
#include <spdkio/engine/engine.hpp>
#include <spdkio/runtime/lcore.hpp>
#include <spdkio/runtime/thread.hpp>

#include "engine_embedded/reactor.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace spdkio::embedded {

/// Which OS thread the main reactor runs on.
enum class MainReactor : std::uint8_t {
  own_thread,  ///< one that the group starts
  caller       ///< the one that calls `ReactorService::run`
};

struct ReactorGroupOptions {
  std::string name;        ///< of the environment; starts the names of the OS threads
  CpuSet cores;            ///< one reactor each; empty: none at all
  unsigned main_core = 0;  ///< one of `cores`
  bool pinned = true;      ///< keep each OS thread on its core
  PollMode poll_mode = PollMode::adaptive;
  std::chrono::microseconds idle_spin{50};
  MainReactor main_reactor = MainReactor::own_thread;
};

/// Starts its worker OS threads when made and has ended them, and every Thread, when destroyed. Serves Thread::create,
/// Cores and LcoreEvent for as long as it lives.
class ReactorGroup final : public engine::ReactorService, detail::ThreadHost, detail::CoreHost {
 public:
  explicit ReactorGroup(ReactorGroupOptions options);
  ReactorGroup(const ReactorGroup&) = delete;
  ReactorGroup& operator=(const ReactorGroup&) = delete;
  ~ReactorGroup();

  void run() override;
  void request_stop() noexcept override;
  std::vector<engine::ReactorInfo> info() const override;
  PollMode poll_mode() const noexcept override { return policy_.mode.load(std::memory_order_relaxed); }
  void set_poll_mode(PollMode mode) override;

 private:
  std::shared_ptr<detail::ThreadCore> place_thread(std::string name, const CpuSet& cpumask) override;
  std::vector<CoreId> cores() const override;
  CoreId main_core() const noexcept override { return main_->core(); }
  Result<> send_event(CoreId core, std::move_only_function<void()> fn) override;

  Reactor& reactor_of(CoreId core) const;
  void start_worker(Reactor& reactor);
  void join_workers() noexcept;
  // Stages of a stop, on the reactors.
  void stop_everything();
  void circulate(std::size_t index, bool quiet);
  void circle_complete(bool quiet);

  const ReactorGroupOptions options_;
  IdlePolicy policy_;
  std::vector<std::unique_ptr<Reactor>> reactors_;  // by core
  Reactor* main_ = nullptr;                         // null: no reactors
  std::vector<std::thread> workers_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> ran_{false};
  // The last reactor only: since when the token has not had to wait anywhere.
  std::uint64_t first_circle_ticks_ = 0;
  std::uint64_t last_circle_ticks_ = 0;
};

}  // namespace spdkio::embedded
