// error: discards qualifiers|no member named 'await_ready'
#include <spdkio/runtime/task.hpp>

#include <utility>

using namespace spdkio;

Task<int> number() { co_return 1; }

Task<int> user() {
  auto task = number();
#ifdef SPDKIO_BAD
  co_return co_await task;
#else
  co_return co_await std::move(task);
#endif
}
