#include "bdev_modules/file/ring_setup.hpp"

#include <cerrno>

namespace spdkio::bdev::file {
namespace {

// Linux 6.1; liburing 2.3 names it in some builds only.
constexpr unsigned setup_defer_taskrun = 1U << 13;

/// The best first. Each but the last was refused with EINVAL by kernels before the one in the comment.
constexpr unsigned wishes[] = {
    // 6.1: completions are worked off when we look, never in the middle of our code.
    IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
        IORING_SETUP_SINGLE_ISSUER | setup_defer_taskrun,
    // 5.19: no interrupts between cores to say that there is something.
    IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    // 5.18
    IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
    // 5.5
    IORING_SETUP_CQSIZE,
};

}  // namespace

Result<> set_up_ring(io_uring& ring) {
  int result = -EINVAL;
  for (const unsigned flags : wishes) {
    io_uring_params params{};
    params.flags = flags;
    params.cq_entries = completion_entries;
    result = io_uring_queue_init_params(submission_entries, &ring, &params);
    if (result != -EINVAL) break;
  }
  if (result == 0 && (ring.features & (IORING_FEAT_NODROP | IORING_FEAT_RW_CUR_POS)) !=
                         (IORING_FEAT_NODROP | IORING_FEAT_RW_CUR_POS)) {
    io_uring_queue_exit(&ring);
    result = -ENOSYS;  // before 5.6: completions may get lost, and there is no IORING_OP_READ
  }
  if (result != 0) {
    Error error =
        Error::from_errno(-result, "the kernel gives this process no io_uring").with_operation("io_uring_setup");
    if (result == -EPERM || result == -EACCES) {
      error =
          error.with_hint("allow it: sysctl kernel.io_uring_disabled=0, or in the seccomp profile of the container");
    } else if (result == -ENOMEM) {
      error = error.with_hint("raise the limit of locked memory: ulimit -l");
    }
    return std::unexpected(std::move(error));
  }
  // Saves the look-up of the descriptor at every system call; Linux 5.18, and at most 16 for each OS thread.
  static_cast<void>(io_uring_register_ring_fd(&ring));
  return {};
}

}  // namespace spdkio::bdev::file
