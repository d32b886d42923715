// What a controller may send to the initiator: the bytes come after a right ICResp, while a read, a write, and a
// command without data are in flight. Whatever they are, every command ends.
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/thread.hpp>
#include <spdkio/spec/nvm_command.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "nvme/tcp/tcp_queue.hpp"

namespace {

using namespace spdkio;

struct Counted : nvme::Request {
  int* ended = nullptr;
};

struct Events : nvme::QueueEvents {
  bool failed = false;
  void queue_failed(const Error&) noexcept override { failed = true; }
};

Task<> play(std::span<const std::byte> bytes, bool digests) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
  UniqueFd host(fds[0]);
  UniqueFd controller(fds[1]);
  spec::tcp::IcResp response;
  response.common.type = spec::tcp::PduType::ic_resp;
  response.common.hlen = sizeof response;
  response.common.plen = static_cast<std::uint32_t>(sizeof response);
  response.maxh2cdata = 4096u;
  response.dgst = digests ? spec::tcp::dgst_header | spec::tcp::dgst_data : 0;
  if (::write(controller.get(), &response, sizeof response) != sizeof response) std::abort();

  Events events;
  nvme::QueueParameters parameters;
  parameters.qid = 1;
  parameters.entries = 5;
  parameters.in_capsule_bytes = 512;
  nvme::tcp::TcpQueue queue("fuzz", parameters, events);
  auto shaking = queue.handshake(std::move(host), {digests, digests});
  co_await std::move(shaking);
  queue.hand_over();

  // The read's buffer has its exact length on the heap: a byte too many is found.
  const auto into = std::make_unique<std::byte[]>(4096);
  const auto from = std::make_unique<std::byte[]>(8192);
  const DmaSpan read_spans[] = {DmaSpan::from_registered(into.get(), 100),
                                DmaSpan::from_registered(into.get() + 100, 3996)};
  const DmaSpan write_span = DmaSpan::from_registered(from.get(), 8192);
  int ended = 0;
  std::array<Counted, 3> requests;
  for (Counted& request : requests) {
    request.ended = &ended;
    request.set_on_complete([](nvme::Request& done) noexcept { ++*static_cast<Counted&>(done).ended; });
  }
  requests[0].command = spec::nvm::read(1, {Lba{0}, BlockCount{8}});
  requests[0].direction = spec::DataTransfer::controller_to_host;
  requests[0].iov = read_spans;
  requests[0].iov_count = 2;
  requests[0].data_bytes = 4096;
  requests[1].command = spec::nvm::write(1, {Lba{0}, BlockCount{16}});
  requests[1].direction = spec::DataTransfer::host_to_controller;
  requests[1].iov = &write_span;
  requests[1].iov_count = 1;
  requests[1].data_bytes = 8192;
  requests[2].command = spec::nvm::flush(1);
  for (Counted& request : requests) {
    if (!queue.submit(request)) std::abort();
  }
  std::vector<std::byte> drain(65536);
  while (!bytes.empty()) {
    const std::size_t size = std::min<std::size_t>(bytes.size(), 777);
    if (::write(controller.get(), bytes.data(), size) != static_cast<ssize_t>(size)) break;
    bytes = bytes.subspan(size);
    queue.poll();
    co_await yield();
    while (::read(controller.get(), drain.data(), drain.size()) > 0) {
    }
  }
  ::shutdown(controller.get(), SHUT_WR);
  for (int i = 0; i < 4; ++i) {
    queue.poll();
    co_await yield();
  }
  auto stopping = queue.stop(false);
  co_await std::move(stopping);
  if (ended != 3) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 65536) return 0;
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  // The thread is attached for each input: what it keeps between them could hide a fault.
  auto thread = Thread::attach("fuzz");
  block_on(play(bytes.subspan(1), (data[0] & 1) != 0));
  thread.close();
  return 0;
}
