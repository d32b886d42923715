// error: (use of deleted function|call to (implicitly-)?deleted|no matching function)
#include <spdkio/runtime/when_all.hpp>

#include <utility>

using namespace spdkio;

Task<int> number() { co_return 1; }

Task<> user() {
  auto task = number();
#ifdef SPDKIO_BAD
  co_await when_all(task, number());
#else
  co_await when_all(std::move(task), number());
#endif
}
