// Controller: the association of one host with one subsystem. Belongs to the poll thread of its admin queue; the
// other queues of the host hold it too.
#pragma once

#include <spdkio/nvmf/host.hpp>
#include <spdkio/runtime/thread.hpp>
#include <spdkio/spec/features.hpp>
#include <spdkio/spec/registers.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "nvmf/request.hpp"

namespace spdkio::nvmf {

class PollGroup;
class Queue;
class SubsystemState;

/// How to reach a queue on whatever thread it is.
struct QueueAddress {
  PollGroup* group = nullptr;  ///< lives as long as the target
  std::uint64_t id = 0;
};

class Controller : public std::enable_shared_from_this<Controller> {
 public:
  Controller(std::shared_ptr<SubsystemState> subsystem, std::uint16_t cntlid, HostConnect host, bool discovery);
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  // ---- fixed
  std::uint16_t cntlid() const noexcept { return cntlid_; }
  const HostConnect& host() const noexcept { return host_; }
  bool is_discovery() const noexcept { return discovery_; }
  const std::shared_ptr<SubsystemState>& subsystem() const noexcept { return subsystem_; }
  /// Of the admin queue; set before anybody else learns of the controller.
  ThreadHandle thread;

  // ---- any thread
  /// CC.EN is set and the controller is ready: I/O commands are executed.
  bool enabled() const noexcept { return enabled_.load(std::memory_order_relaxed); }
  std::atomic<std::uint32_t> io_queue_count{0};

  // ---- on its thread
  void attach_admin(Queue& queue) noexcept { admin_ = &queue; }
  Queue* admin_queue() const noexcept { return admin_; }
  /// The connection of the admin queue goes: the host is gone, and with it its other queues.
  void admin_closed() noexcept;
  /// What Connect of an I/O queue comes to.
  NvmeStatus add_io_queue(std::uint16_t qid, QueueAddress address);
  void remove_io_queue(std::uint16_t qid, std::uint64_t id) noexcept;
  /// Null group when there is none.
  QueueAddress io_queue(std::uint16_t qid) const noexcept;

  std::uint64_t property(std::uint32_t offset, unsigned bytes, bool& known) const noexcept;
  /// False: no such property, or one that can't be set.
  bool set_property(std::uint32_t offset, std::uint64_t value);

  /// One request waits for each event; false when there are enough already.
  bool add_async_event_request(Request& request) noexcept;
  bool remove_async_event_request(Request& request) noexcept;
  /// A namespace appeared, changed or went.
  void namespace_changed(std::uint32_t nsid);
  void discovery_log_changed();
  /// Reading a log page lets the events that announced it come again.
  void log_page_read(std::uint8_t page) noexcept;
  /// The list for the log page; empties it unless `retain`.
  std::vector<std::uint32_t> changed_namespaces(bool retain);

  // Features.
  std::uint32_t async_event_configuration = 0;
  std::uint32_t granted_io_queues = 0;
  std::uint32_t max_io_queues = 0;      ///< of the transport
  std::uint32_t max_queue_entries = 0;  ///< of the transport, per queue
  std::uint32_t arbitration = 0;
  std::uint32_t power_management = 0;
  std::uint32_t temperature_threshold = 0x0157;
  std::uint32_t error_recovery = 0;
  std::uint32_t write_atomicity = 0;
  std::array<std::uint8_t, 512> host_behavior{};
  /// Milliseconds; 0: none. `last_seen` is the time stamp of the latest admin command.
  std::uint32_t keep_alive_ms = 0;
  std::uint64_t last_seen_ticks = 0;
  bool keep_alive_expired = false;
  bool close_wanted = false;  ///< somebody wanted it to end before its queue was connected

  static constexpr std::uint32_t max_async_events = 4;
  static constexpr std::uint32_t version = 0x0001'0400;

 private:
  void raise(const spec::AsyncEvent& event);
  void deliver_events() noexcept;
  void set_configuration(std::uint32_t value);
  void close_io_queues() noexcept;

  const std::shared_ptr<SubsystemState> subsystem_;
  const std::uint16_t cntlid_;
  const HostConnect host_;
  const bool discovery_;
  std::atomic<bool> enabled_{false};

  Queue* admin_ = nullptr;
  std::uint32_t cc_ = 0;
  std::uint32_t csts_ = 0;
  std::map<std::uint16_t, QueueAddress> io_queues_;
  std::array<Request*, max_async_events> async_events_{};
  std::uint32_t async_event_count_ = 0;
  std::vector<spec::AsyncEvent> pending_events_;
  std::vector<std::uint32_t> changed_;  // sorted
  bool too_many_changed_ = false;
  std::uint32_t announced_pages_ = 0;  // bits: namespace list, discovery log
};

}  // namespace spdkio::nvmf
