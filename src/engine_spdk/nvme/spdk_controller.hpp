// SpdkController: a controller that SPDK has attached, on the driver's Thread, and the way to it from others.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/base/intrusive_queue.hpp>
#include <spdkio/base/unique_fd.hpp>
#include <spdkio/nvme/request.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>

#include <spdk/nvme.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "nvme/settings.hpp"
#include "nvme/transport.hpp"

namespace spdkio::spdk {

class IoQueue;
class SpdkController;

/// An admin command on its way between the controller's home Thread and the driver's.
struct AdminSlot {
  // ---- home Thread
  nvme::Request* request = nullptr;
  std::uint16_t cid = 0;
  bool held = false;
  std::uint16_t next_free = 0;
  // ---- whoever has it: written before it is handed on
  SpdkController* controller = nullptr;
  spdk_nvme_cmd command{};
  void* data = nullptr;
  std::uint32_t bytes = 0;
  AdminSlot* abort_target = nullptr;  ///< of an Abort for an admin command
  bool submitted = false;             ///< SPDK had it
  int refused = 0;                    ///< errno, when SPDK did not take it
  spdk_nvme_cpl completion{};
  AdminSlot* next = nullptr;
};

/// SPDK waits for answers inside some of its admin work (new namespaces, ANA), so that it is not done on reactors,
/// where the target might be that is to answer. I/O queues are polled by the Threads that have them, and made and freed
/// here.
class SpdkController : public std::enable_shared_from_this<SpdkController> {
 public:
  /// On the driver's Thread, from then on polled there. `on_detached` is called there when SPDK has let go of it.
  SpdkController(spdk_nvme_ctrlr* ctrlr, const nvme::ControllerSettings& settings, std::function<void()> on_detached);
  SpdkController(const SpdkController&) = delete;
  SpdkController& operator=(const SpdkController&) = delete;
  ~SpdkController();
  /// Once it is shared. From then on it lives until it was detached.
  void start();

  // ---- any Thread
  const std::string& name() const noexcept { return name_; }
  const ThreadHandle& driver() const noexcept { return driver_; }
  const nvme::TransportLimits& limits() const noexcept { return limits_; }
  std::uint16_t controller_id() const noexcept { return controller_id_; }
  std::uint64_t capabilities() const noexcept { return capabilities_; }
  std::uint32_t version() const noexcept { return version_; }
  bool sgl_supported() const noexcept { return sgl_supported_; }
  /// Only with a queue pair of it, or on the driver's Thread.
  spdk_nvme_ctrlr* get() const noexcept { return ctrlr_; }
  /// For the controller's admin queue alone. They stay as long as this, since messages may still name one.
  std::vector<AdminSlot>& slots() noexcept { return slots_; }

  void submit(AdminSlot& slot) noexcept;
  /// An Abort whose command names a queue pair and a CID of ours. Throws when there is no memory for the message.
  void abort(AdminSlot& slot);
  /// The end of an Abort, from the queue pair it was for.
  void end_abort(AdminSlot& slot, const spdk_nvme_cpl& completion) noexcept;
  void end_abort_not_found(AdminSlot& slot) noexcept;
  /// Readable when there is something for `take_*`.
  int wake_fd() const noexcept { return wake_fd_.get(); }
  /// True when there was something since the last time.
  bool take_wake() noexcept;
  IntrusiveQueue<AdminSlot> take_ended() noexcept;
  std::optional<spdk_nvme_cpl> take_event() noexcept;
  std::optional<Error> failure() const;

  /// SPDK takes a lock of the controller's for an Abort, which its admin work may hold for long. False: try again
  /// later.
  bool try_lock_admin() noexcept { return admin_work_.try_lock(); }
  void unlock_admin() noexcept { admin_work_.unlock(); }

  // ---- driver's Thread
  /// For `queue`, which connects it. Throws Error.
  spdk_nvme_qpair* open_io(IoQueue& queue, std::uint32_t entries);
  /// Does nothing when the controller was detached before, with its queue pairs.
  void free_io(IoQueue& queue, spdk_nvme_qpair* qpair) noexcept;
  /// Ends every command, and lets go. Does not fail.
  Task<> detach(bool orderly);

 private:
  PollResult poll() noexcept;
  void submit_pending() noexcept;
  void fail(Error why) noexcept;
  void push_ended(AdminSlot& slot) noexcept;
  void wake_home() noexcept;
  static void on_admin_done(void* arg, const spdk_nvme_cpl* completion) noexcept;
  static void on_event(void* arg, const spdk_nvme_cpl* completion) noexcept;
  static void on_timeout(void* arg, spdk_nvme_ctrlr* ctrlr, spdk_nvme_qpair* qpair, std::uint16_t cid) noexcept;

  const std::string name_;
  const ThreadHandle driver_;
  const std::chrono::milliseconds keep_alive_;
  const std::function<void()> on_detached_;
  spdk_nvme_ctrlr* const ctrlr_;
  nvme::TransportLimits limits_;
  std::uint16_t controller_id_ = 0;
  std::uint64_t capabilities_ = 0;
  std::uint32_t version_ = 0;
  bool sgl_supported_ = false;

  std::vector<AdminSlot> slots_;
  UniqueFd wake_fd_;
  std::atomic<bool> woken_{false};
  mutable std::mutex mutex_;
  IntrusiveQueue<AdminSlot> pending_;         // guarded by mutex_
  IntrusiveQueue<AdminSlot> ended_;           // guarded by mutex_
  std::deque<spdk_nvme_cpl> events_;          // guarded by mutex_
  std::optional<Error> failure_;              // guarded by mutex_
  std::map<std::uint16_t, IoQueue*> queues_;  // guarded by mutex_
  std::mutex admin_work_;

  // Driver's Thread only.
  std::optional<Poller> poller_;
  IntrusiveQueue<AdminSlot> unsent_;
  std::uint64_t in_flight_ = 0;
  std::uint64_t last_work_ = 0;
  std::string said_;  // SPDK's last errors and warnings while it was polled
  bool detached_ = false;
  bool failed_ = false;
  bool keep_alive_unanswered_ = false;
};

}  // namespace spdkio::spdk
