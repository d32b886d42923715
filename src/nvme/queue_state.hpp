// QueueState: a queue pair as the rest of the initiator sees it. It outlives the connections behind it: requests wait
// here while there is no room or no connection, time out here, and are sent again from here.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/base/intrusive_queue.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/nvme/request.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/mutex.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nvme/transport.hpp"

namespace spdkio::nvme {

class QueueState;

/// The controller, as its queues see it. Called on the queue's Thread.
class QueueOwner {
 public:
  /// The queue is down; its requests wait for what is decided.
  virtual void queue_lost(QueueState& queue, const Error& why) noexcept = 0;
  /// Ask the controller to abort a command. `release_cid` of the queue is due when it has answered.
  virtual void abort_command(QueueState& queue, std::uint16_t cid) noexcept = 0;

 protected:
  ~QueueOwner() = default;
};

struct QueueSettings {
  std::string device;  ///< for errors: the controller's name
  std::uint16_t qid = 0;
  std::uint32_t entries = 128;
  bool poll = true;
  std::chrono::nanoseconds command_timeout{};  ///< 0: none
  std::chrono::nanoseconds open_timeout{};
  std::uint32_t retries = 0;
};

/// Belongs to the Thread on which it is made.
class QueueState final : public QueueEvents, public std::enable_shared_from_this<QueueState> {
 public:
  enum class Phase : std::uint8_t {
    down,     ///< no connection: requests wait
    ready,    ///< requests are sent
    refusing  ///< requests end at once; `why` says why
  };

  QueueState(QueueOwner& owner, QueueSettings settings);
  QueueState(const QueueState&) = delete;
  QueueState& operator=(const QueueState&) = delete;
  ~QueueState();

  // ---- requests
  /// Takes the request; it ends with what `set_on_end` set, maybe before this returns.
  void submit(Request& request) noexcept;
  /// Two requests that must stand next to each other in the queue: a fused pair.
  void submit_pair(Request& first, Request& second) noexcept;
  /// The submitter would like the end of a request that is here: it ends at once if nothing of it was sent, otherwise
  /// the controller is asked to abort it.
  void cancel(Request& request) noexcept;
  /// Polls once; how many completions there were.
  std::size_t process_completions() noexcept;

  // ---- connection, driven by the controller
  /// Connects and sends what has waited. Throws Error; it is down then.
  Task<> open(HostTransport& transport, std::uint32_t in_capsule_bytes);
  /// Takes the connection down. Requests that the controller may have seen end, unless they may be repeated.
  Task<> stop(bool orderly);
  /// From now on requests end with `why`, those that wait as well.
  void refuse(const Error& why) noexcept;
  /// The same for ever: nothing opens it again.
  void close(const Error& why) noexcept;
  /// Requests wait again for the connection.
  void wait_again() noexcept;
  void set_retry_delays(const std::array<std::uint16_t, 3>& hundreds_of_ms) noexcept { retry_delays_ = hundreds_of_ms; }

  // ---- for the controller's Abort
  void release_cid(std::uint16_t cid) noexcept {
    if (queue_ != nullptr) queue_->release_cid(cid);
  }

  // ---- facts
  Phase phase() const noexcept { return phase_; }
  bool connected() const noexcept { return queue_ != nullptr && phase_ == Phase::ready; }
  /// Counts the connections: an Abort for one of an earlier connection must not hit a command of a later one.
  std::uint64_t generation() const noexcept { return generation_; }
  const QueueSettings& settings() const noexcept { return settings_; }
  std::uint16_t qid() const noexcept { return settings_.qid; }
  spdkio::detail::ThreadCore& core() const noexcept { return *core_; }
  const ThreadHandle& thread() const noexcept { return thread_; }
  std::uint32_t capacity() const noexcept { return queue_ != nullptr ? queue_->capacity() : settings_.entries - 1; }
  std::size_t in_flight() const noexcept { return in_flight_; }
  std::size_t waiting() const noexcept { return waiting_.size(); }
  /// Why it refuses, or why the last connection was lost.
  const Error& why() const noexcept { return why_; }

  // ---- small pieces of memory for commands that carry a list (Dataset Management)
  static constexpr std::size_t small_buffer_bytes = 4096;
  /// Empty when there is no memory.
  DmaBuf take_small_buffer() noexcept;
  void give_small_buffer(DmaBuf buffer) noexcept;

  // ---- QueueEvents
  void queue_failed(const Error& why) noexcept override;

 private:
  struct Timer : spdkio::detail::TimerNode {
    QueueState* queue = nullptr;
  };

  static void on_complete(Request& request) noexcept;
  void admit(Request& request) noexcept;
  void ended(Request& request) noexcept;
  void finish(Request& request) noexcept;
  bool send(Request& request) noexcept;
  void park(Request& request) noexcept;
  void start_waiting() noexcept;
  bool worth_retrying(const Request& request) const noexcept;
  void retry_later(Request& request) noexcept;
  void link(Request& request) noexcept;
  void unlink(Request& request) noexcept;
  void arm_timeout(std::chrono::nanoseconds after) noexcept;
  void look_for_overdue() noexcept;
  void fail_request(Request& request) noexcept;

  QueueOwner& owner_;
  const QueueSettings settings_;
  spdkio::detail::ThreadCore* core_;
  ThreadHandle thread_;
  std::unique_ptr<TransportQueue> queue_;
  std::optional<Poller> poller_;
  Phase phase_ = Phase::down;
  bool closed_ = false;
  bool failed_while_opening_ = false;
  Error why_;
  std::uint64_t generation_ = 0;
  std::size_t in_flight_ = 0;
  IntrusiveQueue<Request> waiting_;  // for room, or for a connection
  IntrusiveQueue<Request> lost_;     // were with a connection that went down; go before `waiting_`
  IntrusiveQueue<Request> delayed_;  // to be sent again after `retry_timer_`
  Request* oldest_ = nullptr;        // timed requests with the transport, by `submitted_ticks_`
  Request* newest_ = nullptr;
  Timer timeout_timer_;
  Timer retry_timer_;
  std::uint64_t timeout_ticks_ = 0;
  std::array<std::uint16_t, 3> retry_delays_{};
  std::vector<DmaBuf> small_buffers_;
  Mutex changing_;  // one open or stop at a time
};

}  // namespace spdkio::nvme
