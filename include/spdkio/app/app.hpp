// App: a whole program around one function: engine, reactors, configuration, RPC server, signals, and the end of it
// all.
#pragma once

#include <spdkio/app/app_options.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/engine/engine.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>

#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace spdkio {

class App;

namespace detail {

class AppRuntime;

template <class Main>
decltype(auto) invoke_main(Main& main, App& app) {
  if constexpr (std::invocable<Main&, App&>) {
    return main(app);
  } else {
    return main();
  }
}

template <class Main>
using MainReturn = decltype(invoke_main(std::declval<Main&>(), std::declval<App&>()));

template <class R>
struct MainTraits {
  using Value = R;
  static constexpr bool is_coroutine = false;
};
template <class T>
struct MainTraits<Task<T>> {
  using Value = T;
  static constexpr bool is_coroutine = true;
};

template <class Main>
using MainValue = typename MainTraits<MainReturn<Main>>::Value;

/// What a main left: its value, or nothing for void.
template <class T>
using MainResult = std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>>;

template <class Main>
Task<> run_coroutine_main(Main& main, App& app, MainResult<MainValue<Main>>& result) {
  if constexpr (std::is_void_v<MainValue<Main>>) {
    co_await invoke_main(main, app);
    result.emplace();
  } else {
    result.emplace(co_await invoke_main(main, app));
  }
}

/// Exactly one of the two is set; both are called at most once.
struct ErasedMain {
  std::function<Task<>(App&)> coroutine;
  std::function<void(App&)> plain;
};

template <class Main>
ErasedMain erase_main(Main& main, MainResult<MainValue<Main>>& result) {
  using Value = MainValue<Main>;
  if constexpr (MainTraits<MainReturn<Main>>::is_coroutine) {
    return {.coroutine = [&](App& app) { return run_coroutine_main(main, app, result); }, .plain = {}};
  } else {
    return {.coroutine = {}, .plain = [&](App& app) {
              if constexpr (std::is_void_v<Value>) {
                invoke_main(main, app);
                result.emplace();
              } else {
                result.emplace(invoke_main(main, app));
              }
            }};
  }
}

/// Throws what start-up, the configuration or `main` threw.
void run_app(AppOptions options, ErasedMain main);
/// The same, but says it in two lines on standard error. False when something was thrown, unless it is only that a
/// stopped application cancelled its main.
bool run_app_and_report(AppOptions options, ErasedMain main);

}  // namespace detail

/// A function that App can run: with or without `App&`, returning anything, or a Task of anything.
template <class Main>
concept AppMain = std::invocable<Main&, App&> || std::invocable<Main&>;

/// The running application; there is at most one in a process, and not beside an Env.
///
/// In order: the engine and its reactors start, the configuration is loaded, the RPC server listens, `main` runs; then
/// the server closes, tasks that still run are asked to stop, every block device is removed, and Threads, reactors and
/// engine end. The application ends when `main` returns.
///
/// A coroutine main runs on the Thread "app_thread" of the main reactor, which is the calling OS thread. A plain main
/// runs on the calling OS thread as the attached Thread "main", so that it may use `block_on`; the reactors have OS
/// threads of their own.
class App {
 public:
  /// For `int main`: what `main` returns (0 if it returns nothing). What it or start-up throws is printed as a line
  /// that says what happened, and one with a hint when there is one; the value is then 1. A main that was cancelled
  /// because the application was asked to stop counts as a success.
  template <AppMain Main>
  static int run(AppOptions options, Main&& main) {
    using Value = detail::MainValue<Main>;
    static_assert(std::is_void_v<Value> || std::convertible_to<Value, int>,
                  "App::run makes an exit code of what main returns: use App::run_result for other types");
    detail::MainResult<Value> result;
    if (!detail::run_app_and_report(std::move(options), detail::erase_main(main, result))) return 1;
    if constexpr (std::is_void_v<Value>) {
      return 0;
    } else {
      return result ? static_cast<int>(*result) : 0;
    }
  }

  /// Gives what `main` returns, and throws what it or start-up throws; the application has ended by then.
  template <AppMain Main>
  static detail::MainValue<Main> run_result(AppOptions options, Main&& main) {
    detail::MainResult<detail::MainValue<Main>> result;
    detail::run_app(std::move(options), detail::erase_main(main, result));
    if constexpr (!std::is_void_v<detail::MainValue<Main>>) return std::move(*result);
  }

  /// Throws Misuse::not_started when no application runs.
  static App& current();

  /// Asks the application to stop: whoever awaits `stop_requested` goes on. A main that does not (nothing on its Thread
  /// does) is cancelled: what it waits for ends with operation_canceled. Any OS thread, signal-safe; without an
  /// application, and from the second time on, it does nothing.
  static void request_stop() noexcept;
  /// Ends when the application was asked to stop; at once if it was. On any Thread; a plain main uses
  /// `block_on(App::stop_requested())`. Throws Misuse::not_started without an application.
  static Task<> stop_requested();
  /// Whether it was asked to stop. Any OS thread.
  bool stopping() const noexcept;

  const AppOptions& options() const noexcept;
  engine::Engine& engine() const noexcept;
  /// The Thread "app_thread", on which the configuration and RPC methods run.
  ThreadHandle thread() const;
  /// Where the RPC server listens, with the real port; empty when there is none. On the app thread or in `main`.
  std::string rpc_address() const;

 private:
  friend class detail::AppRuntime;
  explicit App(detail::AppRuntime& runtime) noexcept : runtime_(runtime) {}
  App(const App&) = delete;
  detail::AppRuntime& runtime_;
};

}  // namespace spdkio
