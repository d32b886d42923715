// The library inside somebody else's event loop: a Thread attached to this OS thread is one more descriptor to poll.

#include <spdkio/spdkio.hpp>

#include <poll.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

using namespace spdkio;

Task<> read_all(int& reads) {
  co_await bdev::create_delay(
      {.name = "Slow",
       .base = "Disk",
       .latencies = {.average_read = std::chrono::microseconds{200}, .p99_read = std::chrono::microseconds{400}}});
  BdevDesc disk = co_await BdevDesc::open("Slow");
  {
    IoChannel channel = disk.io_channel();
    DmaBuf buffer{512};
    for (std::uint64_t block = 0; block < 100; ++block, ++reads) {
      co_await disk.read(channel, buffer, LbaRange{Lba{block}, BlockCount{1}});
    }
  }
  co_await disk.close();
  co_await bdev::delete_delay("Slow");
}

int run() {
  Env env = Env::start({.name = "foreign_loop"});
  Thread storage = Thread::attach("storage");
  block_on(bdev::create_malloc({.name = "Disk", .num_blocks = 1024}));
  const int fd = storage.fd();
  int reads = 0;
  int wakeups = 0;
  auto work = storage.spawn(read_all(reads), "read_all");
  storage.poll();
  while (!work.done()) {
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, -1) < 0 && errno != EINTR) return EXIT_FAILURE;
    ++wakeups;  // a real program looks at its other descriptors here
    storage.poll();
  }
  work.wait();
  block_on(bdev::delete_malloc("Disk"));
  storage.close();
  env.stop();
  std::printf("poll loop: %d reads\n", reads);
  return wakeups > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main() {
  try {
    return run();
  } catch (const Error& error) {
    std::fprintf(stderr, "foreign_loop: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
