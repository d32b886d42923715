// Queue: a submission queue of a host and its completion queue: what a connection is above its transport. Takes
// commands from their capsule to their response.
#pragma once

#include <spdkio/nvmf/host.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "nvmf/controller.hpp"
#include "nvmf/request.hpp"
#include "nvmf/status.hpp"
#include "nvmf/subsystem_view.hpp"

namespace spdkio::nvmf {

class PollGroup;

struct QueueCounters {
  std::uint64_t commands = 0;
  std::uint64_t read_commands = 0;
  std::uint64_t write_commands = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t errors = 0;
  std::uint64_t digest_errors = 0;
};

class Queue {
 public:
  explicit Queue(PollGroup& group);
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  virtual ~Queue() = default;

  std::uint64_t id() const noexcept { return id_; }
  PollGroup& group() const noexcept { return group_; }
  std::uint16_t qid() const noexcept { return qid_; }
  bool connected() const noexcept { return controller_ != nullptr; }
  const std::shared_ptr<Controller>& controller() const noexcept { return controller_; }
  SubsystemView* view() const noexcept { return view_; }
  const QueueCounters& counters() const noexcept { return counters_; }
  std::uint32_t in_flight() const noexcept { return in_flight_; }

  /// A task that has the request is through with it; or a device, or memory came: the command goes on.
  void go_on(Request& request) noexcept;
  /// Answers. `request` has everything that its completion needs beside SQHD and CID.
  void finish(Request& request, const NvmeStatus& status) noexcept;

  /// Ends the connection, from its own thread. The queue goes when the last request has ended.
  virtual void close(std::string_view why) noexcept = 0;
  virtual ConnectionStats stats() const = 0;
  virtual std::string peer() const = 0;
  virtual const nvme::TransportId& listener() const noexcept = 0;
  virtual std::string local_address() const = 0;
  virtual const std::vector<Request*>& requests() const noexcept = 0;

  /// Ends a command if that can still be done; true if it has ended, or will, as aborted.
  bool abort(std::uint16_t cid) noexcept;
  /// Drops an Asynchronous Event Request that waits, without an answer: the host uses its CID again, as SPDK's does
  /// when it says goodbye. False when that command is none.
  bool forget_async_event_request(std::uint16_t cid) noexcept;
  /// Memory for `bytes` of the request's data. False: it waits, and goes on when there is some.
  bool take_buffer(Request& request, std::uint32_t bytes) noexcept;
  /// The Thread's clock says so from time to time.
  virtual void housekeeping(std::uint64_t now_ticks) noexcept = 0;

 protected:
  // ---- for the transport
  /// The capsule with its in-capsule data (in `request.data`, `capsule_bytes` of it) is there.
  void capsule_received(Request& request, std::uint32_t capsule_bytes) noexcept;
  /// All data that was asked for is there.
  void data_received(Request& request) noexcept;
  /// Forgets whoever waits, for a connection that is closing; what devices and tasks have ends by itself.
  void give_up_waiting(Request& request) noexcept;
  /// The connection has gone and nothing is in flight.
  void detach() noexcept;
  virtual bool closing() const noexcept = 0;

  // ---- by the transport
  /// Sends the completion, and `controller_to_host` bytes of `data` before it. Frees the request, maybe later.
  virtual void send_response(Request& request) noexcept = 0;
  /// Asks for `host_to_controller` bytes into `data`.
  virtual void ask_for_data(Request& request) noexcept = 0;
  /// The request is not used any more: closing connections wait for all.
  virtual void request_dropped(Request& request) noexcept = 0;
  /// Connect has succeeded: the host keeps to `entries` commands at once.
  virtual void on_connected(std::uint32_t entries) = 0;

  QueueCounters counters_;
  std::uint32_t in_flight_ = 0;  ///< requests that are not free

 private:
  friend class AdminCommands;

  bool parse_data_pointer(Request& request, std::uint32_t capsule_bytes) noexcept;
  void meet_fused_partner(Request& request) noexcept;
  void lose_fused_partner() noexcept;
  void leave_partner(Request& request) noexcept;
  void execute(Request& request) noexcept;
  void execute_io(Request& request) noexcept;
  void read_or_write(Request& request, NamespaceView& ns) noexcept;
  void compare_and_write(Request& request, NamespaceView& ns) noexcept;
  void ranged(Request& request, NamespaceView& ns, bdev::IoType type) noexcept;
  void deallocate(Request& request, NamespaceView& ns) noexcept;
  void copy(Request& request, NamespaceView& ns) noexcept;
  void submit(Request& request, NamespaceView& ns, std::uint64_t data_bytes) noexcept;
  void submit_piece(Request& request, NamespaceView& ns) noexcept;
  void io_ended(Request& request) noexcept;
  static void on_io_complete(bdev::Io& io) noexcept;
  static void on_buffer_free(BufferWaiter& waiter) noexcept;

  PollGroup& group_;
  const std::uint64_t id_;
  std::uint16_t qid_ = 0;
  std::uint16_t sq_head_ = 0;
  std::uint32_t sq_entries_ = 0;
  bool flow_control_disabled_ = false;
  bool connect_seen_ = false;
  std::shared_ptr<Controller> controller_;
  SubsystemView* view_ = nullptr;
  Request* fused_first_ = nullptr;
};

}  // namespace spdkio::nvmf
