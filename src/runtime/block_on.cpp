#include <spdkio/runtime/block_on.hpp>

namespace spdkio::detail {

BlockingDriver::BlockingDriver(const char* operation) : core_(ThreadCore::current()) {
  refuse_to_block(operation, "co_await the task instead");
  if (core_ == nullptr) {
    temporary_.emplace(Thread::attach(operation));
    core_ = ThreadCore::current();
  }
}

BlockingDriver::~BlockingDriver() {
  if (temporary_) temporary_->close();
}

ThreadHandle BlockingDriver::thread() const { return ThreadHandle{core_->mailbox()}; }

void BlockingDriver::run_until(const std::function<bool()>& done) { drive(*core_, done); }

}  // namespace spdkio::detail
