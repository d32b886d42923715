// IoQueue: an I/O queue pair of SPDK's on the Thread that uses it.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/nvme/request.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>

#include <spdk/nvme.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine_spdk/light_thread.hpp"
#include "engine_spdk/nvme/spdk_controller.hpp"
#include "nvme/transport.hpp"

namespace spdkio::spdk {

class IoQueue final : public nvme::TransportQueue {
 public:
  IoQueue(std::shared_ptr<SpdkController> controller, LightThread& light, const nvme::QueueParameters& parameters,
          nvme::QueueEvents& events);
  ~IoQueue() override;

  /// Once. Throws Error; then only `stop` is of use.
  Task<> connect();
  /// It is open: from now on failures are told to the events.
  void hand_over() noexcept { handed_over_ = true; }

  bool submit(nvme::Request& request) noexcept override;
  std::size_t poll() noexcept override;
  int wake_fd() const noexcept override { return -1; }
  void hold_cid(std::uint16_t cid) noexcept override;
  void release_cid(std::uint16_t cid) noexcept override;
  Task<> stop(bool orderly) override;

  // ---- for its SpdkController
  std::uint16_t qid() const noexcept { return qid_; }
  const ThreadHandle& thread() const noexcept { return thread_; }
  /// On its Thread, with the lock of the controller's admin work: SPDK answers the Abort in `abort_slot`.
  void abort(std::uint16_t cid, AdminSlot& abort_slot) noexcept;
  /// Any Thread: SPDK may end what it has, and nobody hears of it.
  void go_deaf() noexcept { deaf_.store(true, std::memory_order_relaxed); }

 private:
  struct Slot {
    IoQueue* queue = nullptr;
    nvme::Request* request = nullptr;
    std::uint16_t cid = 0;
    std::uint16_t next_free = 0;
    bool held = false;
    bool bounced = false;     // the data goes through `bounce`
    bool taken_back = false;  // SPDK has ended it with the queue pair
    spec::Completion answer;
    DmaBuf bounce;
    // Where SPDK is in the scatter list.
    std::uint32_t piece = 0;
    std::size_t piece_offset = 0;
  };

  int start(Slot& slot, nvme::Request& request) noexcept;
  int prepare_bounce(Slot& slot, const nvme::Request& request) noexcept;
  Slot* find(std::uint16_t cid) noexcept;
  void free_slot(Slot& slot) noexcept;
  void fail(Error why) noexcept;
  void end_taken_back() noexcept;
  void lose_all() noexcept;
  static void on_done(void* arg, const spdk_nvme_cpl* completion) noexcept;
  static void reset_list(void* arg, std::uint32_t offset) noexcept;
  static int next_piece(void* arg, void** address, std::uint32_t* length) noexcept;

  const std::shared_ptr<SpdkController> controller_;
  LightThread& light_;
  nvme::QueueEvents& events_;
  const ThreadHandle thread_;
  const std::uint16_t qid_;
  const std::uint32_t entries_;
  const bool polled_;
  spdk_nvme_qpair* qpair_ = nullptr;
  std::vector<Slot> slots_;
  std::uint16_t index_mask_ = 0;
  std::uint16_t free_head_ = 0;
  std::size_t taken_back_ = 0;
  bool connected_ = false;
  bool handed_over_ = false;
  std::atomic<bool> deaf_{false};
};

}  // namespace spdkio::spdk
