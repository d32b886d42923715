// error: resume_on moves the Task that awaits it
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/thread.hpp>
#include <spdkio/runtime/when_all.hpp>

using namespace spdkio;

Task<> hop(ThreadHandle there) { co_await resume_on(there); }

Task<> user(ThreadHandle there) {
#ifdef SPDKIO_BAD
  co_await when_all(resume_on(there), resume_on(there));
#else
  co_await when_all(hop(there), hop(there));
#endif
}
