// Control: the OS thread of the engine that acts for SPDK's app thread.
#pragma once

#include <spdkio/engine/options.hpp>
#include <spdkio/runtime/completion.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "engine_spdk/light_thread.hpp"
#include "engine_spdk/os_thread.hpp"

namespace spdkio::spdk {

/// SPDK wants start-up, registration and RPC on one thread, its app thread, and some of that takes long: it has an OS
/// thread of its own, so that it holds up no reactor and answers also where there are none. Its Thread sleeps when
/// there is nothing to do, and looks once a millisecond unless SPDK's interrupt mode tells it when to.
class Control {
 public:
  /// `set_up` runs on the new OS thread before anything else; what it throws is thrown here. It sleeps when idle in
  /// every poll mode.
  Control(PollMode poll_mode, std::chrono::microseconds idle_spin, std::function<void()> set_up);
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  ThreadHandle handle() const { return os_thread_.handle(); }
  LightThreads& threads() noexcept { return *threads_; }
  /// SPDK's app thread; on the control Thread only.
  LightThread& app() noexcept { return *app_; }

  /// Runs a plain function as SPDK's app thread, and gives its result on the caller's Thread.
  template <class F>
  Task<std::invoke_result_t<F&>> on_app(F fn) {
    co_await resume_on(handle());
    app_->make_current();
    co_return fn();
  }

  /// The context of a call that answers later, with 0 or a negative errno.
  class Call {
   public:
    Call(Control& control, Completer<int> completer) noexcept : control_(control), completer_(std::move(completer)) {}
    /// What SPDK calls back; once, as the app thread.
    static void finish(void* context, int rc) noexcept {
      const std::unique_ptr<Call> call(static_cast<Call*>(context));
      call->control_.app().ended();
      call->completer_.set_value(rc);
    }

   private:
    Control& control_;
    Completer<int> completer_;
  };

  /// Runs `begin(context)` as the app thread, and awaits that `Call::finish(context, rc)` is called.
  template <class F>
  Task<int> call(F begin) {
    auto [completer, done] = completion<int>();
    auto* const context = new Call(*this, std::move(completer));
    auto start = [this, context, &begin] {
      app_->began();
      begin(static_cast<void*>(context));
    };
    auto started = on_app(std::move(start));
    co_await std::move(started);
    co_return co_await std::move(done);
  }

 private:
  void begin(PollMode poll_mode, const std::function<void()>& set_up);
  PollResult poll_foreign();
  void end() noexcept;

  std::optional<LightThreads> threads_;
  LightThread* app_ = nullptr;
  std::optional<Poller> napper_;  // has it look once a millisecond
  std::optional<Poller> foreign_;
  OsThread os_thread_;  // last: it uses the others
};

}  // namespace spdkio::spdk
