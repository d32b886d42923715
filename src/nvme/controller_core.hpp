// ControllerCore: what a Controller is behind its handles: the connection, its upkeep, and its loss.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/nvme/controller.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/mutex.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/semaphore.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nvme/queue_state.hpp"
#include "nvme/settings.hpp"
#include "nvme/transport.hpp"

namespace spdkio::nvme {

/// Belongs to the Thread that connected it, its home. A task of its own (`serve`) lives from the connection to the end:
/// it is the only one that takes connections down and makes them again.
class ControllerCore final : public AdminCommands,
                             public QueueOwner,
                             public std::enable_shared_from_this<ControllerCore> {
 public:
  /// On the home Thread. `transport`: for tests that bring their own.
  static Task<std::shared_ptr<ControllerCore>> connect(ControllerSettings settings,
                                                       std::unique_ptr<HostTransport> transport = nullptr);
  explicit ControllerCore(ControllerSettings settings);
  ~ControllerCore();

  // ---- any Thread
  const ControllerSettings& settings() const noexcept { return settings_; }
  const ThreadHandle& home() const noexcept { return home_; }
  ControllerState state() const noexcept { return state_.load(std::memory_order_acquire); }
  std::shared_ptr<const spec::IdentifyController> identify() const;
  spec::Capabilities capabilities() const noexcept { return {cap_.load(std::memory_order_relaxed)}; }
  spec::SpecVersion version() const noexcept { return {vs_.load(std::memory_order_relaxed)}; }
  std::uint16_t controller_id() const noexcept { return cntlid_.load(std::memory_order_relaxed); }
  std::uint32_t granted_queues() const noexcept { return granted_queues_.load(std::memory_order_relaxed); }
  std::uint32_t max_transfer_bytes() const noexcept { return max_transfer_bytes_.load(std::memory_order_relaxed); }
  std::size_t buffer_alignment() const noexcept { return transport_->limits().buffer_alignment; }
  std::uint64_t connections() const noexcept { return connections_.load(std::memory_order_relaxed); }
  std::shared_ptr<NamespaceState> find_namespace(std::uint32_t nsid) const;
  std::vector<std::shared_ptr<NamespaceState>> active_namespaces() const;

  /// Waits while the controller is away. `data` stays until the end.
  Task<spec::Completion> admin(spec::Command command, DmaSpan data, const char* name);
  Task<spec::Completion> admin_command(const spec::Command& command) override { return admin_now_anywhere(command); }
  /// For the current Thread.
  Task<std::shared_ptr<QueueState>> open_queue(QpairOptions options);
  /// On the queue's Thread.
  Task<> close_queue(std::shared_ptr<QueueState> queue);
  /// Ends everything; returns when it has. From any Thread.
  Task<> detach();
  /// The same without waiting. Any OS thread.
  void detach_later() noexcept;
  Task<> reset();

  // ---- home Thread
  Task<std::optional<ControllerEvent>> next_event();
  Task<> rescan();

  // ---- QueueOwner
  void queue_lost(QueueState& queue, const Error& why) noexcept override;
  void abort_command(QueueState& queue, std::uint16_t cid) noexcept override;

 private:
  // controller_core.cpp
  Task<> serve();
  void ask_detach();
  Task<> recover();
  Task<> attempt();
  Task<> wait_for_attempt(std::chrono::nanoseconds delay);
  Task<spec::Completion> admin_at_home(spec::Command command, DmaSpan data, const char* name);
  Task<std::uint16_t> reserve_qid_when_ready();
  void forget_queue(const QueueState* queue) noexcept;
  Task<> take_down(bool orderly);
  Task<> stop_queues(bool orderly);
  Task<> reopen_queues();
  void start_abort(std::shared_ptr<QueueState> queue, std::uint16_t cid, std::uint64_t generation,
                   std::uint64_t attempt) noexcept;
  Task<> shut_down_controller();
  void refuse_queues(const Error& why);
  void let_queues_wait();
  void fail_for_good(Error why);
  void lost(std::uint64_t attempt, const Error& why) noexcept;
  void abandon_attempt() noexcept;
  Task<> abort_task(std::shared_ptr<QueueState> queue, std::uint16_t cid, std::uint64_t generation);
  Task<> until_ready();
  void set_state(ControllerState state) noexcept;
  void add_event(ControllerEvent event) noexcept;

  // controller_setup.cpp: from a fresh admin queue to a controller that is ready
  Task<> establish();
  Task<> enable();
  Task<> read_identity();
  Task<> read_command_set_limits();
  Task<> negotiate_queues();
  Task<> configure_events();
  void start_upkeep();
  Task<> keep_alive_loop();
  Task<> send_keep_alive();
  Task<> async_event_loop();
  Task<> handle_async_event(spec::AsyncEvent event);

  // namespace_scan.cpp
  Task<> scan_namespaces();
  Task<std::vector<std::uint32_t>> read_active_list();
  Task<std::shared_ptr<const NamespaceInfo>> read_namespace(std::uint32_t nsid);
  Task<> read_id_descriptors(NamespaceInfo& info, DmaSpan scratch);
  void publish(NamespaceState& state, std::shared_ptr<const NamespaceInfo> info);

  /// On the home Thread, whatever the state.
  Operation<spec::Completion> admin_now(const spec::Command& command, DmaSpan data, const char* name,
                                        bool timed = true) const;
  Task<spec::Completion> admin_now_anywhere(spec::Command command);

  const ControllerSettings settings_;
  const ThreadHandle home_;
  std::unique_ptr<HostTransport> transport_;
  std::shared_ptr<QueueState> admin_;

  // Written on the home Thread, read anywhere.
  std::atomic<ControllerState> state_{ControllerState::connecting};
  std::atomic<std::uint64_t> cap_{0};
  std::atomic<std::uint32_t> vs_{0};
  std::atomic<std::uint16_t> cntlid_{0xFFFF};
  std::atomic<std::uint32_t> granted_queues_{0};
  std::atomic<std::uint32_t> max_transfer_bytes_{0};
  std::atomic<std::uint64_t> connections_{0};
  std::atomic<std::uint64_t> attempt_{0};  // of connecting: losses of earlier ones do not count
  std::atomic<std::uint32_t> in_capsule_bytes_{0};
  mutable std::mutex mutex_;
  std::shared_ptr<const spec::IdentifyController> identify_;         // guarded by mutex_
  std::map<std::uint32_t, std::shared_ptr<NamespaceState>> spaces_;  // guarded by mutex_

  // Home Thread only.
  std::vector<std::shared_ptr<QueueState>> queues_;
  std::vector<bool> qids_;  // taken
  /// Of commands without data, as the NVM command set's Identify Controller says. Bytes for Write Zeroes.
  struct Limits {
    std::uint64_t zeroes_bytes = UINT64_MAX;
    std::uint32_t deallocate_blocks = UINT32_MAX;
    std::uint32_t deallocate_ranges = 256;
    std::uint64_t deallocate_total = UINT64_MAX;
  };
  Limits limits_;
  std::optional<Scope> upkeep_;
  bool keep_alive_unanswered_ = false;
  bool establishing_ = false;
  bool is_lost_ = false;
  bool reset_wanted_ = false;
  bool detach_wanted_ = false;
  std::optional<Error> why_lost_;
  std::optional<Error> why_failed_;
  std::optional<JoinHandle<>> serving_;
  Event wake_;    // for `serve`
  Event ready_;   // set while ready, failed or detached
  Event ended_;   // `serve` has ended
  Event events_;  // there is one, or there will be none any more
  std::deque<ControllerEvent> event_queue_;
  std::optional<Semaphore> abort_slots_;
  Mutex scanning_;
};

}  // namespace spdkio::nvme
