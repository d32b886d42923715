#include "app/app_runtime.hpp"

#include <spdkio/base/clock.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/nvmf/target.hpp>
#include <spdkio/rpc/error.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/lcore.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/stop_token.hpp>

#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "app/bdev_removal.hpp"
#include "app/engines.hpp"
#include "app/env_access.hpp"
#include "app/rpc/methods.hpp"
#include "app/stop_signals.hpp"

namespace spdkio::detail {
namespace {

/// How long tasks that nobody joined may take to end before the devices that they use are removed.
constexpr std::chrono::seconds task_grace{5};

/// How often an application that was asked to stop says what it waits for.
constexpr std::chrono::seconds reminder_period{3};

EnvOptions env_options(const AppOptions& options) {
  return {.name = options.name,
          .core_mask = options.reactor_mask,
          .main_core = options.main_core,
          .mem_size = options.mem_size_mb << 20,
          .shm_id = options.shm_id,
          .no_pci = options.no_pci,
          .no_huge = options.no_huge,
          .poll_mode = options.poll_mode,
          .idle_spin = options.idle_spin,
          .engine = options.engine,
          .reactors = true};
}

app::Config load_config(const AppOptions& options) {
  if (!options.config_file.empty() && !options.json_data.empty()) {
    throw Error(Misuse::invalid_argument, "config_file and json_data are both given: one of them is the configuration");
  }
  if (!options.config_file.empty()) return app::Config::from_file(options.config_file);
  if (!options.json_data.empty()) return app::Config::from_text(options.json_data);
  return {};
}

Task<std::size_t> ask_tasks_to_stop(ThreadHandle thread) {
  auto ask = [] {
    ThreadCore& core = *ThreadCore::current();
    core.root_stop().request_stop();
    return core.tasks().size();
  };
  auto call = thread.call(ask);
  const Result<std::size_t> left = co_await as_result(std::move(call));
  co_return left.value_or(0);  // a Thread that has ended runs nothing
}

}  // namespace

// Pushed at most once, by whoever asks first, also from a signal handler: nothing is allocated for it.
class AppRuntime::StopMessage final : public Message {
 public:
  explicit StopMessage(AppRuntime& runtime) noexcept : runtime_(runtime) {}
  void run() noexcept override { runtime_.on_stop_request(); }
  void abandon() noexcept override {}

 private:
  AppRuntime& runtime_;
};

AppRuntime::AppRuntime(AppOptions options, ErasedMain main)
    : options_(std::move(options)),
      main_(std::move(main)),
      app_(*this),
      config_(load_config(options_)),
      stop_request_(std::make_shared<app::StopRequest>()),
      stop_message_(std::make_unique<StopMessage>(*this)) {
  if (options_.wait_for_rpc && options_.rpc_addr.empty()) {
    throw Error(Misuse::invalid_argument, "wait_for_rpc needs rpc_addr: nobody could go on with the start");
  }
  if (const auto* thread = ThreadCore::current()) {
    throw Error(Misuse::already_started, "this OS thread already acts for thread '" + thread->name() + "'")
        .with_operation("App::run")
        .with_hint("close that Thread first");
  }
  app::register_methods(methods_, *this);
  if (!app::choose_engine(env_options(options_)).brings_methods) config_.check_methods(methods_);
}

AppRuntime::~AppRuntime() = default;

/// Makes an application the running one. The end waits for a signal handler or another OS thread that still uses it.
class AppRuntime::Running {
 public:
  explicit Running(AppRuntime& runtime) noexcept { running_ = &runtime; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    running_ = nullptr;
    while (users_ != 0) std::this_thread::yield();
  }
};

void AppRuntime::run() {
  env_.emplace(EnvAccess::start(env_options(options_), !has_plain_main()));
  const Running running(*this);
  if (engine::MethodService* const own = engine().methods()) {
    app::register_engine_methods(methods_, *own);
    config_.check_methods(methods_);
  }
  CpuSet main_core;
  main_core.add(std::to_underlying(Cores::main()));
  app_thread_.emplace(Thread::create("app_thread", main_core));
  std::optional<app::StopSignals> signals;
  if (options_.handle_signals) signals.emplace();

  life_ = make_child(life());
  [[maybe_unused]] const auto sent = thread().send([this] { life_.start(*this, nullptr); });
  mailbox_ = app_thread_->handle().mailbox().get();
  if (asked_to_stop_) request_stop();  // it came too early to be sent
  if (has_plain_main()) {
    run_plain_main();
    ended_.acquire();
  } else {
    engine().reactors().run();
  }
  env_->stop();
  if (failure_ != nullptr) rethrow_joined(failure_);
}

void AppRuntime::run_plain_main() {
  plain_main_may_start_.acquire();
  if (phase_ == Phase::main) {
    Thread main_thread = Thread::attach("main");
    [[maybe_unused]] const auto told =
        thread().send([this, handle = main_thread.handle()] { plain_main_is_on(handle); });
    try {
      main_.plain(app_);
    } catch (...) {
      failure_ = std::current_exception();
    }
    main_thread.close();
  }
  [[maybe_unused]] const auto sent = thread().send([this] { plain_main_ended_.set(); });
}

void AppRuntime::plain_main_is_on(const ThreadHandle& thread) {
  main_thread_ = thread;
  if (stop_request_->requested()) cancel_main();
}

Task<> AppRuntime::life() {
  main_thread_ = thread();
  auto task = CurrentThread::spawn(stoppable(), "main");
  std::exception_ptr failure;
  try {
    co_await std::move(task);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure != nullptr) failure_ = failure;
  if (std::exchange(phase_, Phase::ending) == Phase::starting) {
    plain_main_may_start_.release();
    initialised_.set();  // tells who waits that it will not be
  }
  reminder_.reset();
  co_await shut_down();
}

Task<> AppRuntime::stoppable() { co_await with_stop_token(main_stop_.get_token(), start_and_main()); }

Task<> AppRuntime::start_and_main() {
  co_await start_up();
  if (stop_request_->requested()) {
    throw Error(std::errc::operation_canceled, "the application was asked to stop before it had started");
  }
  phase_ = Phase::main;
  if (has_plain_main()) {
    plain_main_may_start_.release();
    co_await plain_main_ended_.wait();
  } else {
    co_await main_.coroutine(app_);
  }
}

Task<> AppRuntime::start_up() {
  lvols_.start();
  co_await config_.run(dispatcher_);
  if (options_.wait_for_rpc) {
    listen();
    log::info("waiting for framework_start_init at {}", rpc_address());
    co_await init_requested_.wait();
  }
  auto services = engine().start_services();
  co_await std::move(services);
  dispatcher_.set_state(rpc::RpcState::runtime);
  co_await config_.run(dispatcher_);
  if (!options_.rpc_addr.empty() && !server_) listen();
  if (!options_.metrics_addr.empty())
    observability_.start_metrics(options_.metrics_addr, options_.metrics_allow_remote);
  observability_.set_stall_limit(options_.stall_limit);
  initialised_.set();
}

void AppRuntime::listen() { server_.emplace(rpc::Server::listen(dispatcher_, {.address = options_.rpc_addr})); }

Task<> AppRuntime::start_init() {
  if (state() == rpc::RpcState::startup) init_requested_.set();
  co_await wait_init();
}

Task<> AppRuntime::wait_init() {
  co_await initialised_.wait();
  if (state() == rpc::RpcState::startup || phase_ == Phase::ending) {
    throw rpc::RpcError(rpc::code::internal_error, "framework_initialization failed");
  }
}

Task<> AppRuntime::shut_down() {
  stop_request_->set();
  if (server_) co_await server_->close();
  server_.reset();
  co_await observability_.stop();
  co_await nvmf::destroy_all_targets();  // hosts are disconnected before what serves them goes
  co_await lvols_.stop();                // while its tasks may still be spawned
  co_await stop_all_tasks();
  co_await app::remove_all_bdevs(engine().bdevs());
  auto services = engine().stop_services();
  co_await std::move(services);
}

Task<> AppRuntime::stop_all_tasks() {
  const std::uint64_t start = ticks();
  for (;;) {
    std::size_t left = 0;
    for (const auto& reactor : engine().reactors().info()) {
      for (const ThreadHandle& thread : reactor.threads) left += co_await ask_tasks_to_stop(thread);
    }
    if (left == 0) co_return;
    if (ns_from_ticks(ticks() - start) > task_grace) {
      log::warn("{} task(s) do not stop; the block devices are removed all the same", left);
      co_return;
    }
    co_await sleep_for(std::chrono::milliseconds{1});
  }
}

std::coroutine_handle<> AppRuntime::child_done() noexcept {
  if (life_.promise().failed()) {
    log::error("the application did not end in order: {}", error_from(life_.promise().exception()).what());
  }
  engine().reactors().request_stop();
  ended_.release();
  return std::noop_coroutine();
}

void AppRuntime::request_stop() noexcept {
  asked_to_stop_ = true;
  Mailbox* const mailbox = mailbox_;
  if (mailbox != nullptr && !stop_sent_.exchange(true)) {
    [[maybe_unused]] const bool pushed = mailbox->push(*stop_message_);
  }
}

void AppRuntime::on_stop_request() {
  const int signal = options_.handle_signals ? app::StopSignals::received() : 0;
  const char* const name = signal == 0 ? nullptr : ::sigabbrev_np(signal);
  log::info("stopping{}{}", name == nullptr ? "" : ": SIG", name == nullptr ? "" : name);
  const bool main_knows = phase_ == Phase::main && stop_request_->awaited_on(*main_thread_.mailbox());
  stop_request_->set();
  if (phase_ == Phase::ending) return;
  if (!main_knows) cancel_main();
  reminder_.emplace(
      [] {
        log::warn("stopping: still waiting for {}", describe(CurrentThread::running_tasks()));
        return PollResult::idle;
      },
      PollerOptions{.name = "stop_reminder", .period = reminder_period});
}

void AppRuntime::cancel_main() {
  if (phase_ == Phase::main && has_plain_main()) {
    // A task of the OS thread that waits in block_on; without one there is nothing to cancel.
    [[maybe_unused]] const auto sent = main_thread_.send([] { ThreadCore::current()->root_stop().request_stop(); });
  } else {
    main_stop_.request_stop();
  }
}

}  // namespace spdkio::detail
