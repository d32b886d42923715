// run_blocking: awaits a function that runs on an OS thread of its own. Opening and closing devices takes the kernel up
// to seconds, and happens seldom.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/completion.hpp>
#include <spdkio/runtime/task.hpp>

#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

namespace spdkio::nvme::pcie {

/// Gives what `fn` gives and throws what it throws, as an Error. `fn` must not touch what belongs to a Thread.
template <class F>
Task<std::invoke_result_t<F&>> run_blocking(F fn) {
  using Value = std::invoke_result_t<F&>;
  auto [completer, done] = completion<Value>();
  try {
    std::thread([fn = std::move(fn), completer = std::move(completer)]() mutable {
      try {
        if constexpr (std::is_void_v<Value>) {
          fn();
          completer.set_value();
        } else {
          completer.set_value(fn());
        }
      } catch (...) {
        completer.set_error(Error::from_current_exception());
      }
    }).detach();
  } catch (const std::system_error& error) {
    throw Error::from_errno(error.code().value(), "the system gives no OS thread")
        .with_hint("raise the limit of processes: ulimit -u");
  }
  co_return co_await std::move(done);
}

}  // namespace spdkio::nvme::pcie
