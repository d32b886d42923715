// error: a Task does nothing until it is awaited or spawned
#include <spdkio/runtime/task.hpp>

using namespace spdkio;

Task<> work() { co_return; }

Task<> user() {
#ifdef SPDKIO_BAD
  work();
#else
  co_await work();
#endif
}
