// The seam of the initiator: a way to a controller (HostTransport) and a queue pair on it (TransportQueue). TCP and
// PCIe stand behind it; everything above knows no transport.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/nvme/request.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/spec/registers.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace spdkio::nvme {

/// Told by a queue about itself, on the queue's Thread.
class QueueEvents {
 public:
  /// The queue can't go on: connection lost, protocol violated, device gone. Once per queue, from inside `submit`,
  /// `poll` or a callback of the Thread. From then on `submit` takes nothing, and the queue keeps the requests that it
  /// has until `stop` is awaited. Must not destroy the queue.
  virtual void queue_failed(const Error& why) noexcept = 0;

 protected:
  ~QueueEvents() = default;
};

/// A submission queue and its completion queue on one Thread. Made by `HostTransport::open_*`, connected and ready.
class TransportQueue {
 public:
  TransportQueue() = default;
  TransportQueue(const TransportQueue&) = delete;
  TransportQueue& operator=(const TransportQueue&) = delete;
  /// After `stop`, on the queue's Thread: nothing is in flight.
  virtual ~TransportQueue() = default;

  /// Takes the request, fills in CID and data pointer, and sends it with the others of this round of the Thread (a
  /// Deferred of the queue's own). It ends with `complete`, `lose` or `refuse`, now or later, exactly once. False: no
  /// room, or the queue has failed; the request is as it was.
  virtual bool submit(Request& request) noexcept = 0;

  /// Takes what completions there are, without blocking; how many.
  virtual std::size_t poll() noexcept = 0;

  /// Readable when there is something to poll for; for a Thread that sleeps. -1: there is none. Fixed from the start,
  /// open until the queue is destroyed.
  virtual int wake_fd() const noexcept = 0;
  /// True: the Thread polls it by means of the transport's own (all sockets together); nobody else needs to.
  virtual bool polls_itself() const noexcept { return false; }

  /// Takes a request back of which nothing was sent yet: it is the caller's again, and true is returned.
  virtual bool withdraw(Request& request) noexcept {
    (void)request;
    return false;
  }

  /// While an Abort for a command is under way, its CID must not be given to another: `hold_cid` keeps the one of a
  /// request that is in flight from being used again until `release_cid`, whenever the request ends.
  virtual void hold_cid(std::uint16_t cid) noexcept { (void)cid; }
  virtual void release_cid(std::uint16_t cid) noexcept { (void)cid; }

  /// Ends the queue. First makes sure that the controller does not touch any buffer any more, then ends every request
  /// that is still there with `lose`. `orderly`: the controller still answers, so take leave of it as the transport's
  /// specification says (delete the queues, close the connection). Does not fail and takes a bounded time.
  virtual Task<> stop(bool orderly) = 0;

  /// Requests that it can have at once.
  std::uint32_t capacity() const noexcept { return capacity_; }

 protected:
  std::uint32_t capacity_ = 0;
};

/// Admin commands for transports that need some (Create I/O Completion Queue and the like). From any Thread; the
/// command goes over the admin queue of the controller and the answer comes back to the caller's Thread.
class AdminCommands {
 public:
  /// Throws Error when it fails.
  virtual Task<spec::Completion> admin_command(const spec::Command& command) = 0;

 protected:
  ~AdminCommands() = default;
};

/// What a transport can carry. Constant from `open_admin` on.
struct TransportLimits {
  bool fabrics = false;  ///< Fabrics commands, SGLs, keep-alive expected
  /// A driver beneath enables the controller, keeps it alive and shuts it down when its admin queue is stopped.
  /// `max_io_queues` is then what it was granted, and CAP and VS are the properties that can be read.
  bool driven = false;
  std::uint32_t max_queue_entries = 65536;        ///< per I/O queue
  std::uint32_t max_io_queues = 65535;            ///< beside what the controller grants
  std::uint32_t max_transfer_bytes = UINT32_MAX;  ///< per command, beside MDTS
  std::uint32_t max_segments = UINT32_MAX;        ///< pieces of a scatter list per command
  std::uint32_t buffer_alignment = 1;             ///< of the address and length of every piece, bytes, a power of two
};

struct QueueParameters {
  std::uint16_t qid = 0;               ///< 0: the admin queue
  std::uint32_t entries = 128;         ///< size of the queue; one fewer requests fit
  std::chrono::nanoseconds timeout{};  ///< for the whole of opening it
  /// I/O queues of Fabrics: how many bytes of data a command capsule may carry (from IOCCSZ).
  std::uint32_t in_capsule_bytes = 0;
  /// False: once it is open nobody but the caller of `poll` looks for completions, also if it `polls_itself`.
  bool poll = true;
};

/// The way to one controller. Belongs to the controller's Thread; `open_io` may be awaited on every Thread. After a
/// `close` it may be opened again: that is what a reconnect does.
class HostTransport {
 public:
  HostTransport() = default;
  HostTransport(const HostTransport&) = delete;
  HostTransport& operator=(const HostTransport&) = delete;
  virtual ~HostTransport() = default;

  /// Makes the controller reachable and gives its admin queue. The controller is disabled afterwards, or was never
  /// enabled since; enabling it is done above with the properties. Throws Error.
  virtual Task<std::unique_ptr<TransportQueue>> open_admin(const QueueParameters& parameters, QueueEvents& events) = 0;

  /// An I/O queue pair for the current Thread. The controller is enabled. Throws Error.
  virtual Task<std::unique_ptr<TransportQueue>> open_io(const QueueParameters& parameters, QueueEvents& events) = 0;

  /// Controller properties, `bytes` is 4 or 8. Throw Error. On the controller's Thread, between `open_admin` and
  /// `close`.
  virtual Task<std::uint64_t> get_property(spec::Property property, unsigned bytes) = 0;
  virtual Task<> set_property(spec::Property property, unsigned bytes, std::uint64_t value) = 0;

  /// After every queue was stopped. Lets go of the device or forgets the association. Does not fail.
  virtual Task<> close() = 0;

  virtual const TransportLimits& limits() const noexcept = 0;
  /// Fabrics: the controller identifier that Connect gave; otherwise 0xFFFF.
  virtual std::uint16_t controller_id() const noexcept { return 0xFFFF; }
};

}  // namespace spdkio::nvme
