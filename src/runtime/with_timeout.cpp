#include <spdkio/runtime/with_timeout.hpp>

#include <spdkio/base/error.hpp>

#include <fmt/format.h>

namespace spdkio::detail {

void rethrow_as_timeout(const std::exception_ptr& failure, std::chrono::nanoseconds limit) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    if (error.code() != std::errc::operation_canceled) throw;
    auto timed_out =
        Error(std::errc::timed_out, fmt::format("not done within {:.6g} s", static_cast<double>(limit.count()) / 1e9))
            .with_operation(error.operation())
            .with_device(error.device())
            .with_outcome(error.outcome());
    if (error.range()) timed_out = timed_out.with_range(*error.range());
    // What the caller is doing is in both; the rest was further in.
    auto inner = error.context();
    for (auto step = timed_out.context().rbegin();
         step != timed_out.context().rend() && !inner.empty() && inner.back() == *step; ++step) {
      inner.pop_back();
    }
    for (const auto& step : inner) timed_out = timed_out.with_context(step);
    throw timed_out;
  }
}

}  // namespace spdkio::detail
