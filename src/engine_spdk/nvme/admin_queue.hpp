// AdminQueue: the admin queue of a controller of SPDK's, on the controller's home Thread.
#pragma once

#include <spdkio/base/intrusive_queue.hpp>
#include <spdkio/nvme/request.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine_spdk/nvme/spdk_controller.hpp"
#include "nvme/transport.hpp"

namespace spdkio::spdk {

/// Commands go to the driver's Thread and their answers come back. SPDK keeps its own requests for asynchronous events
/// with the controller: those that arrive here wait for what SPDK hears.
class AdminQueue final : public nvme::TransportQueue {
 public:
  AdminQueue(std::shared_ptr<SpdkController> controller, const nvme::QueueParameters& parameters,
             nvme::QueueEvents& events);
  ~AdminQueue() override;

  bool submit(nvme::Request& request) noexcept override;
  std::size_t poll() noexcept override;
  int wake_fd() const noexcept override { return controller_->wake_fd(); }
  bool withdraw(nvme::Request& request) noexcept override { return event_requests_.remove(request); }
  void hold_cid(std::uint16_t cid) noexcept override;
  void release_cid(std::uint16_t cid) noexcept override;
  /// Detaches the controller.
  Task<> stop(bool orderly) override;

 private:
  AdminSlot* find(std::uint16_t cid) noexcept;
  void free_slot(AdminSlot& slot) noexcept;
  std::size_t take_ended() noexcept;
  std::size_t take_events() noexcept;

  const std::shared_ptr<SpdkController> controller_;
  nvme::QueueEvents& events_;
  std::uint16_t index_mask_ = 0;
  std::uint16_t free_head_ = 0;
  IntrusiveQueue<nvme::Request> event_requests_;
  bool closed_ = false;  // takes nothing any more
};

}  // namespace spdkio::spdk
