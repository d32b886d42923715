// Outcome: what SPDK's app thread answered, and what it logged meanwhile.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/task.hpp>

#include <string>
#include <utility>

#include "engine_spdk/control.hpp"
#include "engine_spdk/spdk_log.hpp"

namespace spdkio::spdk {

/// SPDK's NVMe-oF target often says in the log alone why it refuses.
struct Outcome {
  int rc = 0;        ///< 0 or a negative errno
  std::string said;  ///< errors and warnings, parted by "; "

  bool ok() const noexcept { return rc == 0; }
  /// `what` and SPDK's own words; the code is `rc`.
  Error error(const std::string& what) const;
};

/// Runs `fn`, which gives 0 or a negative errno, as the app thread.
template <class F>
Task<Outcome> ask_app(Control& control, F fn) {
  Outcome outcome;
  auto run = [&outcome, &fn] {
    const LogCapture capture(outcome.said);
    outcome.rc = fn();
  };
  auto asked = control.on_app(std::move(run));
  co_await std::move(asked);
  co_return outcome;
}

/// Runs `begin(context)` as the app thread, and waits for `Control::Call::finish(context, rc)`.
template <class F>
Task<Outcome> await_app(Control& control, F begin) {
  Outcome outcome;
  auto start = [&outcome, &begin](void* context) {
    const LogCapture capture(outcome.said);
    begin(context);
  };
  auto called = control.call(std::move(start));
  outcome.rc = co_await std::move(called);
  co_return outcome;
}

}  // namespace spdkio::spdk
