// run_blocking: awaits a function that runs on a helper thread.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/completion.hpp>
#include <spdkio/runtime/task.hpp>

#include <memory>
#include <type_traits>
#include <utility>

#include "bdev_modules/file/worker_pool.hpp"

namespace spdkio::bdev::file {

template <class F>
class BlockingCall final : public WorkerJob {
 public:
  using Value = std::invoke_result_t<F&>;

  BlockingCall(F fn, Completer<Value> completer) : fn_(std::move(fn)), completer_(std::move(completer)) {
    execute = [](WorkerJob& job) noexcept {
      const std::unique_ptr<BlockingCall> call(static_cast<BlockingCall*>(&job));
      call->run();
    };
  }

 private:
  void run() noexcept {
    try {
      completer_.set_value(fn_());
    } catch (...) {
      completer_.set_error(Error::from_current_exception());
    }
  }

  F fn_;
  Completer<Value> completer_;
};

/// Gives what `fn` gives and throws what it throws, as an Error. `fn` must not touch what belongs to a Thread.
template <class F>
Task<std::invoke_result_t<F&>> run_blocking(std::shared_ptr<WorkerPool> pool, F fn) {
  auto [completer, done] = completion<std::invoke_result_t<F&>>();
  auto call = std::make_unique<BlockingCall<F>>(std::move(fn), std::move(completer));
  if (!pool->submit(*call)) {
    throw Error(std::errc::resource_unavailable_try_again, "the system gives no helper thread")
        .with_hint("raise the limit of processes: ulimit -u");
  }
  static_cast<void>(call.release());
  co_return co_await std::move(done);
}

}  // namespace spdkio::bdev::file
