// Warm adapters take no memory from the heap: counted with a replaced global operator new.
#include <spdkio/adapters/fd_driver.hpp>
#include <spdkio/adapters/sender.hpp>

#include <cstddef>
#include <optional>
#include <stop_token>

#include "runtime/counted_new.hpp"
#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;

class AdapterAllocations : public ::testing::Test {
 protected:
  template <class F>
  static void expect_none(F once) {
    for (int i = 0; i < 100; ++i) once();
    const std::size_t before = allocations;
    for (int i = 0; i < 100; ++i) once();
    const std::size_t counted = allocations - before;
    ::operator delete(::operator new(1));
    EXPECT_EQ(allocations - before - counted, 1u) << "the counter does not count";
    EXPECT_EQ(counted, 0u);
  }
  Thread thread_ = Thread::attach("t");
};

Task<int> answer() {
  co_await yield();
  co_return 1;
}

TEST_F(AdapterAllocations, OperationsWithACallback) {
  FdDriver driver(thread_);
  int sum = 0;
  expect_none([&] {
    driver.start(answer(), [&sum](Result<int> result) { sum += *result; });
    while (driver.in_flight() != 0) driver.dispatch();
  });
  EXPECT_EQ(sum, 200);
}

struct CountingReceiver {
  using receiver_concept = execution::receiver_t;
  struct Env {
    std::stop_token token;
    std::stop_token query(execution::get_stop_token_t) const noexcept { return token; }
  };
  int* sum;
  std::stop_token token;
  void set_value() && noexcept { ++*sum; }
  void set_value(int value) && noexcept { *sum += value; }
  void set_error(std::exception_ptr) && noexcept { *sum = -1; }
  void set_stopped() && noexcept { *sum = -1; }
  Env get_env() const noexcept { return Env{token}; }
};

TEST_F(AdapterAllocations, Senders) {
  const std::stop_source source;
  int sum = 0;
  expect_none([&] {
    const int before = sum;
    auto operation = as_sender(answer()).connect(CountingReceiver{&sum, source.get_token()});
    operation.start();
    while (sum == before) thread_.poll();
    auto hop = ThreadScheduler(thread_.handle()).schedule().connect(CountingReceiver{&sum, source.get_token()});
    hop.start();
    while (sum == before + 1) thread_.poll();
  });
  EXPECT_EQ(sum, 400);
}

}  // namespace
}  // namespace spdkio
