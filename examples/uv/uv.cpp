// The library in a libuv loop: callbacks, and operations that keep the loop alive while they are in flight.

#include <spdkio/adapters/uv.hpp>
#include <spdkio/spdkio.hpp>

#include <uv.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

using namespace spdkio;

/// A coroutine of this library where there are several steps; a callback for its end.
Task<int> read_all() {
  BdevDesc disk = co_await BdevDesc::open("Disk");
  int reads = 0;
  {
    IoChannel channel = disk.io_channel();
    DmaBuf buffer{512};
    for (std::uint64_t block = 0; block < 100; ++block, ++reads) {
      co_await disk.read(channel, buffer, LbaRange{Lba{block}, BlockCount{1}});
    }
  }
  co_await disk.close();
  co_return reads;
}

int run() {
  Env env = Env::start({.name = "uv"});
  Thread storage = Thread::attach("storage");
  uv_loop_t loop;
  uv_loop_init(&loop);
  int reads = 0;
  {
    UvDriver driver(&loop, storage);
    driver.start(bdev::create_malloc({.name = "Disk", .num_blocks = 1024}), [&](Result<Bdev> created) {
      if (!created) {
        std::fprintf(stderr, "uv: %s\n", created.error().what());
        return;
      }
      driver.start(read_all(), [&](Result<int> all) {
        if (all) reads = *all;
        driver.start(bdev::delete_malloc("Disk"), [](Result<>) {});
      });
    });
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  uv_run(&loop, UV_RUN_DEFAULT);  // closes the driver's handle
  const int left_open = uv_loop_close(&loop);
  storage.close();
  env.stop();
  std::printf("uv: %d reads\n", reads);
  return left_open == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main() {
  try {
    return run();
  } catch (const Error& error) {
    std::fprintf(stderr, "uv: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
