// PcieQueue: a submission queue and its completion queue in memory of the host.
#pragma once

#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread_core.hpp>
#include <spdkio/spec/command.hpp>
#include <spdkio/spec/completion.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "nvme/pcie/device.hpp"
#include "nvme/pcie/doorbell.hpp"
#include "nvme/transport.hpp"

namespace spdkio::nvme::pcie {

class PcieQueue final : public TransportQueue {
 public:
  /// `admin` deletes the queues of I/O queue pairs at the end; null for the admin queue, which ends with the
  /// controller. Throws Error: no memory, or memory without a device address.
  PcieQueue(std::shared_ptr<Device> device, AdminCommands* admin, const QueueParameters& parameters,
            QueueEvents& events);
  ~PcieQueue() override;

  std::uint64_t submission_queue_iova() const noexcept { return submission_iova_; }
  std::uint64_t completion_queue_iova() const noexcept { return completion_iova_; }
  std::uint32_t entries() const noexcept { return entries_; }
  /// The controller knows the completion queue, or both: they are deleted at the end.
  void completion_queue_created() noexcept { completion_queue_created_ = true; }
  void submission_queue_created() noexcept { submission_queue_created_ = true; }

  // ---- TransportQueue
  bool submit(Request& request) noexcept override;
  std::size_t poll() noexcept override;
  int wake_fd() const noexcept override { return event_; }
  bool withdraw(Request& request) noexcept override;
  void hold_cid(std::uint16_t cid) noexcept override;
  void release_cid(std::uint16_t cid) noexcept override;
  Task<> stop(bool orderly) override;

 private:
  struct Slot {
    Request* request = nullptr;
    std::uint64_t list_iova = 0;
    bool held = false;
  };
  struct Ring : spdkio::detail::Deferred {
    PcieQueue* queue = nullptr;
  };

  std::size_t take_completions() noexcept;
  bool silence_event() noexcept;
  void ring_submissions() noexcept;
  void free_slot(std::uint16_t cid) noexcept;
  void fail(const Error& why) noexcept;
  Task<bool> delete_queues() noexcept;
  std::uint32_t after(std::uint32_t index) const noexcept { return index + 1 == entries_ ? 0 : index + 1; }
  std::byte* submission(std::uint32_t index) const noexcept;

  const std::shared_ptr<Device> device_;
  AdminCommands* const admin_;
  QueueEvents& events_;
  const std::uint16_t qid_;
  const std::uint32_t entries_;
  spdkio::detail::ThreadCore* const core_;
  const int event_;
  std::uint64_t submission_iova_ = 0;  // these two before the memory whose making sets them
  std::uint64_t completion_iova_ = 0;
  DmaBuf submissions_;
  DmaBuf completions_;
  DmaBuf lists_;  // one page for each slot

  Doorbell submission_doorbell_;
  Doorbell completion_doorbell_;
  std::uint32_t tail_ = 0;       // where the next command goes
  std::uint32_t rung_tail_ = 0;  // as the controller knows it
  std::uint32_t head_ = 0;       // of the completion queue
  bool phase_ = true;            // of entries that are new
  bool failed_ = false;
  bool completion_queue_created_ = false;
  bool submission_queue_created_ = false;
  std::uint32_t idle_rounds_ = 0;
  Ring ring_;
  std::vector<Slot> slots_;  // by CID
  std::vector<std::uint16_t> free_;
};

}  // namespace spdkio::nvme::pcie
