// SpdkTransport: SPDK's way to a controller.
#pragma once

#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>

#include <spdk/nvme.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine_spdk/light_thread.hpp"
#include "engine_spdk/nvme/address_book.hpp"
#include "engine_spdk/nvme/spdk_controller.hpp"
#include "nvme/settings.hpp"
#include "nvme/transport.hpp"

namespace spdkio::spdk {

/// A connection is an attachment of SPDK's: made with the admin queue, ended with it, and made anew for a reconnect.
class SpdkTransport final : public nvme::HostTransport {
 public:
  SpdkTransport(const nvme::ControllerSettings& settings, ThreadHandle driver, std::shared_ptr<AddressBook> book,
                LightThreads& threads);

  Task<std::unique_ptr<nvme::TransportQueue>> open_admin(const nvme::QueueParameters& parameters,
                                                         nvme::QueueEvents& events) override;
  Task<std::unique_ptr<nvme::TransportQueue>> open_io(const nvme::QueueParameters& parameters,
                                                      nvme::QueueEvents& events) override;
  /// CAP and VS; throws Misuse::not_supported for others.
  Task<std::uint64_t> get_property(spec::Property property, unsigned bytes) override;
  Task<> set_property(spec::Property property, unsigned bytes, std::uint64_t value) override;
  Task<> close() override { co_return; }
  const nvme::TransportLimits& limits() const noexcept override { return limits_; }
  std::uint16_t controller_id() const noexcept override;

 private:
  std::shared_ptr<SpdkController> controller() const;
  Task<std::shared_ptr<SpdkController>> attach();
  Task<std::vector<spdk_nvme_transport_id>> addresses() const;

  const nvme::ControllerSettings settings_;
  const ThreadHandle driver_;
  const std::shared_ptr<AddressBook> book_;
  LightThreads& threads_;
  nvme::TransportLimits limits_;
  // Queue pairs are opened on their own Threads, also while the home Thread connects again.
  mutable std::mutex mutex_;
  std::shared_ptr<SpdkController> controller_;  // guarded by mutex_
};

}  // namespace spdkio::spdk
