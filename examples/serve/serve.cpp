// An NVMe-oF target in this process: any NVMe/TCP host can connect to its RAM disk until the program is asked to stop.
//
//     example_serve [port]        0: the kernel chooses one; the default is 4420

#include <spdkio/spdkio.hpp>

#include <cstdio>
#include <cstdlib>

using namespace spdkio;

Task<> serve(std::uint16_t port) {
  auto target = co_await nvmf::Target::create({.name = "tgt"});
  co_await target.add_transport(nvmf::Transport::tcp());
  auto disk0 = co_await target.create_subsystem("nqn.2026-11.io.spdkio:disk0", {.allow_any_host = true});
  co_await disk0.add_namespace("Malloc0");
  auto where = co_await disk0.add_listener(nvme::TransportId::tcp("127.0.0.1", port));
  co_await disk0.start();
  where.subnqn = disk0.nqn();
  std::printf("serving at %s\n", where.to_string().c_str());
  std::fflush(stdout);
  co_await App::stop_requested();
  co_await target.destroy();
  std::puts("served");
}

int main(int argc, char** argv) {
  const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 4420);
  return App::run({.name = "serve", .json_data = R"({"subsystems": [{"subsystem": "bdev", "config": [
      {"method": "bdev_malloc_create", "params": {"name": "Malloc0", "num_blocks": 32768, "block_size": 512}}]}]})"},
                  [port] { return serve(port); });
}
