#include "app/stop_signals.hpp"

#include <spdkio/app/app.hpp>
#include <spdkio/base/error.hpp>

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string_view>

namespace spdkio::app {
namespace {

std::atomic<int> first_signal{0};

// Runs in the middle of anything: nothing here may lock or allocate.
void on_signal(int number) {
  const int saved_errno = errno;
  int none = 0;
  if (first_signal.compare_exchange_strong(none, number)) {
    App::request_stop();
  } else {
    constexpr std::string_view line = "second signal while stopping: exit at once\n";
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
    ::_exit(128 + number);
  }
  errno = saved_errno;
}

}  // namespace

StopSignals::StopSignals() {
  first_signal = 0;
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  ::sigfillset(&action.sa_mask);
  for (std::size_t i = 0; i < handled.size(); ++i) {
    if (::sigaction(handled[i], &action, &before_[i]) != 0) {
      throw Error::from_errno(errno, "cannot handle signals").with_operation("sigaction");
    }
  }
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < handled.size(); ++i) ::sigaction(handled[i], &before_[i], nullptr);
}

int StopSignals::received() noexcept { return first_signal; }

}  // namespace spdkio::app
