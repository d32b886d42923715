// Operations as senders of std::execution (C++26). A program with a sender library composes them with its algorithms;
// this one has none, so it brings the receivers itself: hop to a Thread on a reactor, read there, tell main.

#include <spdkio/adapters/sender.hpp>
#include <spdkio/spdkio.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <future>
#include <optional>

using namespace spdkio;

Task<std::size_t> count_zero_bytes() {
  BdevDesc disk = co_await BdevDesc::open("Malloc0");
  std::size_t zeros = 0;
  {
    IoChannel channel = disk.io_channel();
    DmaBuf buffer{4096};
    co_await disk.read(channel, buffer, ByteOffset{0});
    for (const std::byte value : buffer.bytes()) zeros += value == std::byte{0} ? 1 : 0;
  }
  co_await disk.close();
  co_return zeros;
}

/// The end of the chain: what a library calls sync_wait.
struct Tell {
  using receiver_concept = execution::receiver_t;
  std::promise<std::size_t>* result;
  void set_value(std::size_t zeros) && noexcept { result->set_value(zeros); }
  void set_error(std::exception_ptr failure) && noexcept { result->set_exception(failure); }
  void set_stopped() && noexcept {
    result->set_exception(std::make_exception_ptr(Error(std::errc::operation_canceled)));
  }
};

/// The step in between: what a library calls let_value.
struct ThenCount {
  using receiver_concept = execution::receiver_t;
  using Counting = decltype(as_sender(count_zero_bytes()).connect(Tell{}));
  struct Connect {
    std::promise<std::size_t>* result;
    operator Counting() const { return as_sender(count_zero_bytes()).connect(Tell{result}); }
  };
  std::promise<std::size_t>* result;
  std::optional<Counting>* counting;
  void set_value() && noexcept { counting->emplace(Connect{result}).start(); }
  void set_error(std::exception_ptr failure) && noexcept { Tell{result}.set_error(failure); }
  void set_stopped() && noexcept { Tell{result}.set_stopped(); }
};

void count() {
  Thread storage = Thread::create("storage");
  std::promise<std::size_t> result;
  std::optional<ThenCount::Counting> counting;
  const ThreadScheduler scheduler(storage.handle());
  auto operation = scheduler.schedule().connect(ThenCount{.result = &result, .counting = &counting});
  operation.start();
  std::printf("sender: %zu zero bytes\n", result.get_future().get());
  storage.close();
}

int main() {
  // A plain main: the reactors have OS threads of their own.
  return App::run({.name = "sender", .json_data = R"({"subsystems": [{"subsystem": "bdev", "config": [
      {"method": "bdev_malloc_create", "params": {"name": "Malloc0", "num_blocks": 8192, "block_size": 512}}]}]})"},
                  count);
}
