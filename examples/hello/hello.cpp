// The first program: a RAM disk from a configuration, written and read again.

#include <spdkio/spdkio.hpp>

#include <algorithm>
#include <cstdio>

using namespace spdkio;

Task<> hello() {
  BdevDesc disk = co_await BdevDesc::open("Malloc0", Access::read_write);
  IoChannel channel = disk.io_channel();
  DmaBuf written{4096};
  DmaBuf found{4096};
  written.fill(std::byte{0xAB});
  co_await disk.write(channel, written, ByteOffset{0});
  co_await disk.read(channel, found, ByteOffset{0});
  co_await disk.close();
  if (!std::ranges::equal(written.bytes(), found.bytes())) {
    throw Error(std::errc::io_error, "read something else than was written");
  }
  std::puts("Malloc0: 4096 bytes written and read again");
}

int main() {
  return App::run({.name = "hello", .json_data = R"({"subsystems": [{"subsystem": "bdev", "config": [
      {"method": "bdev_malloc_create", "params": {"name": "Malloc0", "num_blocks": 8192, "block_size": 512}}]}]})"},
                  hello);
}
