// Reads a whole NVMe namespace, many commands in flight, one deadline over all of them.
//
//     example_scan 'trtype:TCP traddr:127.0.0.1 trsvcid:4420 subnqn:nqn.2026-11.io.spdkio:disk0'

#include <spdkio/spdkio.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>

using namespace spdkio;
using namespace std::chrono_literals;

Task<> scan(nvme::TransportId where) {
  auto controller = co_await nvme::Controller::connect(where);
  auto ns = controller.ns(1);
  auto qpair = co_await controller.alloc_io_qpair({.queue_size = 128});
  std::uint64_t blocks = 0;
  std::uint64_t bytes_in_use = 0;
  co_await with_timeout(30s, for_each_concurrent(128, ns.chunks(BlockCount{8}), [&](LbaRange range) -> Task<> {
                          auto buf = qpair.buffers().get(ns.bytes(range.count));
                          co_await ns.read(qpair, buf, range);
                          blocks += range.count.value;
                          bytes_in_use += buf.size() - std::ranges::count(buf.bytes(), std::byte{0});
                        }));
  co_await qpair.close();
  co_await controller.detach();
  std::printf("scan: %llu blocks read, %llu bytes are not zero\n", static_cast<unsigned long long>(blocks),
              static_cast<unsigned long long>(bytes_in_use));
}

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: example_scan <transport id>\n", stderr);
    return 2;
  }
  return App::run({.name = "scan"}, [&] { return scan(nvme::TransportId::parse(argv[1])); });
}
