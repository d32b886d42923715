// AppRuntime: the life of one application, from its options to the end of its engine.
#pragma once

#include <spdkio/app/app.hpp>
#include <spdkio/app/env.hpp>
#include <spdkio/rpc/dispatcher.hpp>
#include <spdkio/rpc/method_table.hpp>
#include <spdkio/rpc/server.hpp>
#include <spdkio/runtime/child.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/thread.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <semaphore>
#include <stop_token>
#include <string>

#include "app/config_loader.hpp"
#include "app/observe/observability.hpp"
#include "app/stop_request.hpp"
#include "lvol/lvol_stores.hpp"

namespace spdkio::detail {

/// One `run` per object. `life` is the coroutine on the app thread that does it all, and that no stop request reaches:
/// it has to clean up. What a request stops is the task that it spawns for start-up and main.
class AppRuntime final : ChildOwner {
 public:
  AppRuntime(AppOptions options, ErasedMain main);
  AppRuntime(const AppRuntime&) = delete;
  AppRuntime& operator=(const AppRuntime&) = delete;
  ~AppRuntime();

  /// Throws what options, start-up, configuration or main did.
  void run();

  // ---- any OS thread, while it runs
  /// Calls `fn` with the running application or null; it does not go away meanwhile. Signal-safe if `fn` is.
  template <class F>
  static decltype(auto) with_running(F&& fn) {
    users_.fetch_add(1);
    struct Leave {
      ~Leave() { users_.fetch_sub(1); }
    } leave;
    return fn(running_.load());
  }
  void request_stop() noexcept;
  bool asked_to_stop() const noexcept { return asked_to_stop_; }
  const std::shared_ptr<app::StopRequest>& stop_request() const noexcept { return stop_request_; }

  App& app() noexcept { return app_; }
  const AppOptions& options() const noexcept { return options_; }
  engine::Engine& engine() const { return env_->engine(); }
  ThreadHandle thread() const { return app_thread_->handle(); }
  std::string rpc_address() const { return server_ ? server_->address() : std::string(); }

  // ---- for the RPC methods, on the app thread
  rpc::RpcState state() const { return dispatcher_.state(); }
  lvol::LvolStores& lvols() noexcept { return lvols_; }
  /// Lets start-up go on after `wait_for_rpc` and awaits its end.
  Task<> start_init();
  Task<> wait_init();
  app::Observability& observability() noexcept { return observability_; }

 private:
  class StopMessage;
  class Running;
  enum class Phase : std::uint8_t { starting, main, ending };

  bool has_plain_main() const noexcept { return static_cast<bool>(main_.plain); }
  void run_plain_main();
  // On the app thread.
  Task<> life();
  Task<> stoppable();
  Task<> start_and_main();
  Task<> start_up();
  Task<> shut_down();
  Task<> stop_all_tasks();
  std::coroutine_handle<> child_done() noexcept override;
  void plain_main_is_on(const ThreadHandle& thread);
  void on_stop_request();
  void cancel_main();
  void listen();

  // Fixed.
  const AppOptions options_;
  const ErasedMain main_;
  App app_;
  app::Config config_;
  const std::shared_ptr<app::StopRequest> stop_request_;

  // Any thread.
  static inline std::atomic<AppRuntime*> running_{nullptr};
  static inline std::atomic<int> users_{0};
  std::atomic<bool> asked_to_stop_{false};
  std::atomic<bool> stop_sent_{false};
  std::atomic<Mailbox*> mailbox_{nullptr};  // of the app thread, once it may be asked
  std::unique_ptr<StopMessage> stop_message_;
  std::binary_semaphore plain_main_may_start_{0};
  std::binary_semaphore ended_{0};

  // The calling OS thread, before and after the app thread's part.
  std::optional<Env> env_;
  std::optional<Thread> app_thread_;
  std::exception_ptr failure_;

  // The app thread only.
  Phase phase_ = Phase::starting;
  lvol::LvolStores lvols_;
  rpc::MethodTable methods_;
  rpc::Dispatcher dispatcher_{methods_, rpc::RpcState::startup};
  std::optional<rpc::Server> server_;
  app::Observability observability_;
  Event init_requested_;
  Event initialised_;
  Event plain_main_ended_;
  ThreadHandle main_thread_;  // what main runs on
  std::stop_source main_stop_;
  std::optional<Poller> reminder_;
  Child<void> life_;
};

}  // namespace spdkio::detail
