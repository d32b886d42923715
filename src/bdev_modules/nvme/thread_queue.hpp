// ThreadQueue: the queue pair of a Thread on a controller, shared by the channels of all its namespaces.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/base/intrusive_queue.hpp>
#include <spdkio/nvme/qpair.hpp>
#include <spdkio/nvme/request.hpp>
#include <spdkio/runtime/task.hpp>

#include <memory>
#include <optional>
#include <utility>

#include "nvme/controller_core.hpp"
#include "nvme/queue_state.hpp"

namespace spdkio::bdev::nvme_disk {

/// Opening a queue pair takes a while, making a channel must not: requests wait here until it is open. Everything on
/// its Thread.
class ThreadQueue : public std::enable_shared_from_this<ThreadQueue> {
 public:
  /// The current Thread's, made if need be.
  static std::shared_ptr<ThreadQueue> of(const std::shared_ptr<nvme::ControllerCore>& controller);

  explicit ThreadQueue(std::shared_ptr<nvme::ControllerCore> controller) : controller_(std::move(controller)) {}
  ThreadQueue(const ThreadQueue&) = delete;

  void submit(nvme::Request& request) noexcept;
  void submit_pair(nvme::Request& first, nvme::Request& second) noexcept;
  void cancel(nvme::Request& request) noexcept;
  const std::shared_ptr<nvme::ControllerCore>& controller() const noexcept { return controller_; }
  /// Why requests are lost.
  Error why() const;
  DmaBuf take_small_buffer() noexcept;
  void give_small_buffer(DmaBuf buffer) noexcept;

 private:
  Task<> open();
  void start_opening() noexcept;
  bool ready() const noexcept { return qpair_.queue() != nullptr; }
  void end_waiting(const Error& why) noexcept;

  std::shared_ptr<nvme::ControllerCore> controller_;
  nvme::Qpair qpair_;
  bool opening_ = false;
  IntrusiveQueue<nvme::Request> waiting_;
  std::optional<Error> why_;
};

}  // namespace spdkio::bdev::nvme_disk
