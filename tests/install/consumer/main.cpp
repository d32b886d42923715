// What a first program does: one malloc disk, one write, one read, through nothing but the umbrella header.

#include <spdkio/spdkio.hpp>

#include <cstddef>
#include <cstdio>

using namespace spdkio;

Task<> hello() {
  auto disk = co_await BdevDesc::open("Malloc0", Access::read_write);
  {
    auto channel = disk.io_channel();
    DmaBuf out{4096};
    DmaBuf in{4096};
    out.fill(std::byte{0xAB});
    in.fill(std::byte{0});
    co_await disk.write(channel, out, ByteOffset{8192});
    co_await disk.read(channel, in, ByteOffset{8192});
    if (in.bytes().back() != std::byte{0xAB}) throw Error{std::errc::io_error, "what was read is not what was written"};
  }
  co_await disk.close();
  std::puts("consumer: ok");
}

int main() {
  return App::run({.name = "consumer", .json_data = R"({"subsystems":[{"subsystem":"bdev","config":[
      {"method":"bdev_malloc_create","params":{"name":"Malloc0","num_blocks":8192,"block_size":512}}]}]})"},
                  hello);
}
