// error: discards qualifiers|no member named 'await_ready'
#include <spdkio/runtime/thread.hpp>

#include <utility>

using namespace spdkio;

Task<int> number() { co_return 1; }

Task<int> user(const Thread& thread) {
  auto handle = thread.spawn(number());
#ifdef SPDKIO_BAD
  co_return co_await handle;
#else
  co_return co_await std::move(handle);
#endif
}
