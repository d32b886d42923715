
#include "spdkio/doctor/io_uring_probe.hpp"

#include <spdkio/base/unique_fd.hpp>

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cerrno>
#include <memory>

namespace spdkio::tool {
namespace {

UniqueFd set_up(unsigned flags, io_uring_params& params) {
  params = {};
  params.flags = flags;
  const long fd = ::syscall(__NR_io_uring_setup, 4, &params);
  return UniqueFd{fd < 0 ? -1 : static_cast<int>(fd)};
}

bool accepts(unsigned flags) {
  io_uring_params params{};
  return static_cast<bool>(set_up(flags, params));
}

std::vector<std::uint8_t> supported_operations(int ring) {
  constexpr unsigned most = 256;
  const std::size_t size = sizeof(io_uring_probe) + most * sizeof(io_uring_probe_op);
  // The structure ends in a flexible array; 8-byte words keep it aligned.
  const auto memory = std::make_unique<std::uint64_t[]>(size / 8 + 1);
  auto* probe = reinterpret_cast<io_uring_probe*>(memory.get());
  std::vector<std::uint8_t> operations;
  if (::syscall(__NR_io_uring_register, ring, IORING_REGISTER_PROBE, probe, most) != 0) return operations;
  const auto* list =
      reinterpret_cast<const io_uring_probe_op*>(reinterpret_cast<const char*>(probe) + sizeof(io_uring_probe));
  for (unsigned i = 0; i < probe->ops_len && i < most; ++i) {
    if ((list[i].flags & IO_URING_OP_SUPPORTED) != 0) operations.push_back(list[i].op);
  }
  return operations;
}

int register_one_page(int ring) {
  constexpr std::size_t size = 4096;
  void* page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return errno;
  iovec vector{.iov_base = page, .iov_len = size};
  const int error = ::syscall(__NR_io_uring_register, ring, IORING_REGISTER_BUFFERS, &vector, 1) == 0 ? 0 : errno;
  ::munmap(page, size);
  return error;
}

}  // namespace

IoUringProbe probe_io_uring() {
  IoUringProbe probe;
  io_uring_params params{};
  const UniqueFd ring = set_up(0, params);
  if (!ring) {
    probe.setup_errno = errno;
    return probe;
  }
  probe.features = params.features;
  probe.operations = supported_operations(ring.get());
  probe.register_buffers_errno = register_one_page(ring.get());
  probe.single_issuer = accepts(IORING_SETUP_SINGLE_ISSUER);
  probe.defer_taskrun = accepts(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
  probe.iopoll = accepts(IORING_SETUP_IOPOLL);
  return probe;
}

const std::vector<IoUringOperation>& wanted_io_uring_operations() {
  static const std::vector<IoUringOperation> operations{
      {IORING_OP_READ_FIXED, "READ_FIXED", "reads into registered buffers"},
      {IORING_OP_WRITE_FIXED, "WRITE_FIXED", "writes from registered buffers"},
      {IORING_OP_READV, "READV", "scatter reads"},
      {IORING_OP_WRITEV, "WRITEV", "gather writes"},
      {IORING_OP_FSYNC, "FSYNC", "flush"},
      {IORING_OP_FALLOCATE, "FALLOCATE", "unmap and write zeroes of files"},
      {IORING_OP_POLL_ADD, "POLL_ADD", "waiting for sockets"},
      {IORING_OP_ASYNC_CANCEL, "ASYNC_CANCEL", "abort"},
      {IORING_OP_SENDMSG, "SENDMSG", "sending on sockets"},
      {IORING_OP_RECVMSG, "RECVMSG", "receiving from sockets"},
      {IORING_OP_URING_CMD, "URING_CMD", "NVMe commands through the kernel's driver"},
  };
  return operations;
}

}  // namespace spdkio::tool
