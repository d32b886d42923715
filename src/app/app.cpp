#include <spdkio/app/app.hpp>

#include <spdkio/base/error.hpp>

#include <fmt/core.h>

#include <cstdio>
#include <string>
#include <utility>

#include "app/app_runtime.hpp"
#include "app/stop_request.hpp"

namespace spdkio {
namespace detail {
namespace {

Error no_application(const char* operation) {
  return Error(Misuse::not_started, "no application is running").with_operation(operation).with_hint("see App::run");
}

void report(const std::string& name, const Error& error) {
  std::string text = error.what();
  const std::string hint = ". Hint: " + error.hint();
  if (!error.hint().empty() && text.ends_with(hint)) text.resize(text.size() - hint.size());
  fmt::print(stderr, "{}: {}\n", name, text);
  if (!error.hint().empty()) fmt::print(stderr, "  hint: {}\n", error.hint());
}

}  // namespace

void run_app(AppOptions options, ErasedMain main) { AppRuntime(std::move(options), std::move(main)).run(); }

bool run_app_and_report(AppOptions options, ErasedMain main) {
  const std::string name = options.name;
  bool asked_to_stop = false;
  try {
    AppRuntime runtime(std::move(options), std::move(main));
    try {
      runtime.run();
    } catch (...) {
      asked_to_stop = runtime.asked_to_stop();
      throw;
    }
    return true;
  } catch (...) {
    const Error error = Error::from_current_exception();
    if (asked_to_stop && error.code() == std::errc::operation_canceled) return true;
    report(name, error);
    return false;
  }
}

}  // namespace detail

App& App::current() {
  return detail::AppRuntime::with_running([](detail::AppRuntime* runtime) -> App& {
    if (runtime == nullptr) throw detail::no_application("App::current");
    return runtime->app();
  });
}

void App::request_stop() noexcept {
  detail::AppRuntime::with_running([](detail::AppRuntime* runtime) {
    if (runtime != nullptr) runtime->request_stop();
  });
}

Task<> App::stop_requested() {
  return detail::AppRuntime::with_running([](detail::AppRuntime* runtime) {
    if (runtime == nullptr) throw detail::no_application("App::stop_requested");
    return app::StopRequest::wait(runtime->stop_request());
  });
}

bool App::stopping() const noexcept { return runtime_.stop_request()->requested(); }
const AppOptions& App::options() const noexcept { return runtime_.options(); }
engine::Engine& App::engine() const noexcept { return runtime_.engine(); }
ThreadHandle App::thread() const { return runtime_.thread(); }
std::string App::rpc_address() const { return runtime_.rpc_address(); }

}  // namespace spdkio
