// error: nodiscard
#include <spdkio/runtime/thread.hpp>

using namespace spdkio;

Task<> work() { co_return; }

void user(const Thread& thread) {
#ifdef SPDKIO_BAD
  thread.spawn(work());
#else
  thread.spawn(work()).detach();
#endif
}
