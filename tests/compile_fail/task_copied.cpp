// error: (use of deleted function|call to (implicitly-)?deleted)
#include <spdkio/runtime/task.hpp>

#include <utility>

using namespace spdkio;

Task<int> number() { co_return 1; }

Task<int> user() {
  auto task = number();
#ifdef SPDKIO_BAD
  auto second = task;
#else
  auto second = std::move(task);
#endif
  co_return co_await std::move(second);
}
