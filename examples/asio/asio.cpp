// A disk in an Asio program: the program's own event loop, coroutines and timers, and operations of this library in
// them.

#include <spdkio/adapters/asio.hpp>
#include <spdkio/spdkio.hpp>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>

using namespace spdkio;
using namespace asio::experimental::awaitable_operators;

asio::awaitable<void> use_disk() {
  co_await to_asio(bdev::create_malloc({.name = "Disk", .num_blocks = 8192}));
  BdevDesc disk = co_await to_asio(BdevDesc::open("Disk", Access::read_write));
  {
    IoChannel channel = disk.io_channel();
    DmaBuf written{4096};
    DmaBuf found{4096};
    written.fill(std::byte{0xAB});
    co_await to_asio(disk.write(channel, written, ByteOffset{0}));
    // With a deadline in Asio's way: the loser is cancelled, and awaited to its real end.
    asio::steady_timer deadline(co_await asio::this_coro::executor, std::chrono::seconds(30));
    const auto first =
        co_await (to_asio(disk.read(channel, found, ByteOffset{0})) || deadline.async_wait(asio::use_awaitable));
    if (first.index() == 1) throw Error(std::errc::timed_out, "the disk did not answer");
    if (!std::ranges::equal(written.bytes(), found.bytes())) {
      throw Error(std::errc::io_error, "read something else than was written");
    }
  }
  co_await to_asio(disk.close());
  co_await to_asio(bdev::delete_malloc("Disk"));
  std::puts("asio: 4096 bytes written and read again");
}

int run() {
  Env env = Env::start({.name = "asio"});
  asio::io_context io;
  Thread storage = Thread::attach("storage");
  AsioDriver driver{io, storage};
  asio::co_spawn(io, use_disk(), [](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
  });
  io.run();
  driver.close();
  storage.close();
  env.stop();
  return EXIT_SUCCESS;
}

int main() {
  try {
    return run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "asio: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
