// What the kernel's io_uring gives to this process, by trying it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace spdkio::tool {

struct IoUringProbe {
  int setup_errno = 0;                   ///< 0: a ring was set up
  std::uint32_t features = 0;            ///< IORING_FEAT_* as the kernel reported them
  bool single_issuer = false;            ///< IORING_SETUP_SINGLE_ISSUER is accepted
  bool defer_taskrun = false;            ///< IORING_SETUP_DEFER_TASKRUN is accepted
  bool iopoll = false;                   ///< IORING_SETUP_IOPOLL is accepted
  int register_buffers_errno = 0;        ///< of registering one page; 0: done. ENOMEM means RLIMIT_MEMLOCK
  std::vector<std::uint8_t> operations;  ///< opcodes that the kernel says it supports
};

/// Sets up rings, asks them, and closes them.
IoUringProbe probe_io_uring();

/// Names of the operations that the library can use, with their opcodes.
struct IoUringOperation {
  std::uint8_t opcode;
  const char* name;
  const char* use;  ///< what is slower without it
};
const std::vector<IoUringOperation>& wanted_io_uring_operations();

}  // namespace spdkio::tool
