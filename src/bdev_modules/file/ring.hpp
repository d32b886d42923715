// Ring: the io_uring of a Thread, shared by all file devices that the Thread uses.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/base/intrusive_queue.hpp>
#include <spdkio/bdev/io.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <liburing.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "bdev_modules/file/registered_buffers.hpp"
#include "bdev_modules/file/registered_files.hpp"
#include "bdev_modules/file/ring_wakeup.hpp"

namespace spdkio::bdev::file {

class Ring;

/// Keeps the Thread's ring. Move-only.
class RingHandle {
 public:
  explicit RingHandle(Ring& ring) noexcept;
  RingHandle(RingHandle&& other) noexcept : ring_(std::exchange(other.ring_, nullptr)) {}
  RingHandle& operator=(RingHandle&&) = delete;
  ~RingHandle();
  Ring* operator->() const noexcept { return ring_; }

 private:
  Ring* ring_;
};

/// Requests are written into the ring when they are submitted and handed to the kernel together, once per round of the
/// Thread. What does not fit waits in order. A poller looks for completions, which also wake the Thread when it sleeps.
/// Everything on that Thread.
class Ring {
 public:
  /// The current Thread's, made if need be. The error says why there is none.
  static Result<RingHandle> acquire();

  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  /// The context of `io` is a UringRequest.
  void submit(Io& io) noexcept {
    if (!waiting_.empty() || !start(io)) [[unlikely]]
      waiting_.push_back(io);
    core_.defer(flush_);
  }
  /// True: `io` was still waiting for room and is the caller's again.
  bool withdraw(Io& io) noexcept { return waiting_.remove(io); }
  /// Asks the kernel to end a request that it has. Its own answer tells what came of it.
  void cancel(Io& io) noexcept;

  RegisteredFiles& files() noexcept { return files_; }
  RegisteredBuffers& buffers() noexcept { return buffers_; }

 private:
  friend class RingHandle;
  struct Local;
  struct Flush : detail::Deferred {
    Ring* ring = nullptr;
  };

  Ring(detail::ThreadCore& core, Local& local, const io_uring& ring);
  ~Ring();

  bool start(Io& io) noexcept;
  std::size_t flush() noexcept;
  bool completions_ready() noexcept;
  std::size_t reap() noexcept;
  bool start_waiting() noexcept;
  void fail_unsubmitted(int errno_value) noexcept;
  void answer(std::uint64_t user_data, int result) noexcept;
  void end_if_unused() noexcept;

  detail::ThreadCore& core_;
  Local* local_;  // null once the Thread has ended
  pid_t os_thread_;
  io_uring ring_;
  unsigned limit_;          // of in_flight_
  unsigned in_flight_ = 0;  // in the ring or in the kernel
  std::size_t users_ = 0;
  bool busy_ = false;  // answering requests, which may give up the last handle
  bool submit_failed_ = false;
  Flush flush_;
  IntrusiveQueue<Io> waiting_;
  RegisteredFiles files_;
  RegisteredBuffers buffers_;
  RingWakeup wakeup_;
  std::optional<Poller> poller_;  // last: unwatches the descriptor before it is closed
};

}  // namespace spdkio::bdev::file
