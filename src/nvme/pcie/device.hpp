// Device: an opened function as the transport and its queues share it.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/base/unique_fd.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/engine/memory.hpp>
#include <spdkio/spec/registers.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "nvme/pcie/data_pointer.hpp"
#include "nvme/pcie/doorbell.hpp"
#include "nvme/pcie/function.hpp"

namespace spdkio::nvme::pcie {

/// Any OS thread may call what does not say otherwise.
class Device {
 public:
  /// `memory` outlives it. With `max_vectors` of 0 there are no interrupts. Throws Error: registers that can't be an
  /// NVMe controller's, vectors that can't be connected.
  Device(std::string name, std::unique_ptr<Function> function, engine::MemoryService& memory, unsigned max_vectors);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const std::string& name() const noexcept { return name_; }
  const spec::Capabilities& capabilities() const noexcept { return capabilities_; }
  const engine::MemoryService& memory() const noexcept { return memory_; }

  /// Throws Error(no_such_device) when the bus answers with all ones.
  std::uint32_t read32(spec::Property property) const;
  std::uint64_t read64(spec::Property property) const;
  void write32(spec::Property property, std::uint32_t value) noexcept;
  void write64(spec::Property property, std::uint64_t value) noexcept;

  Doorbell submission_doorbell(std::uint16_t qid) const noexcept;
  Doorbell completion_doorbell(std::uint16_t qid) const noexcept;
  /// Queues that the register space has doorbells for.
  std::uint32_t max_queues() const noexcept;

  /// The eventfd of a queue's vector, which has the number of the queue; -1: it has none.
  int event_of(std::uint16_t qid) const noexcept;

  /// From now on no memory is touched by the device, until `admit`.
  void quiesce() noexcept;
  Result<> admit() noexcept { return function_->set_bus_master(true); }

  /// The device can't go on: every queue finds out at its next poll, and is woken for it. The first reason counts.
  void fail(const Error& why) noexcept;
  bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }
  /// Only when it has failed.
  Error why() const;
  int removal_fd() const noexcept { return function_->removal_fd(); }

  // ---- what Identify Controller said; set before the first I/O queue is made
  SglSupport sgl = SglSupport::none;
  /// Pages of shadow doorbells and of event indexes; empty: not offered, or refused.
  DmaBuf shadow_doorbells;
  DmaBuf event_indexes;

  /// After every queue was stopped, the function for whoever destroys it. Registers are gone from now on.
  std::unique_ptr<Function> release() noexcept { return std::move(function_); }

 private:
  Doorbell doorbell(std::uint32_t index) const noexcept;

  const std::string name_;
  std::unique_ptr<Function> function_;
  engine::MemoryService& memory_;
  spec::Capabilities capabilities_;
  std::vector<UniqueFd> events_;
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;
  std::optional<Error> why_;
};

}  // namespace spdkio::nvme::pcie
