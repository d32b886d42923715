// ConnectAttempt: SPDK connecting to one address.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>

#include <spdk/nvme.h>

#include <memory>
#include <optional>
#include <string>

#include "engine_spdk/nvme/address_book.hpp"
#include "engine_spdk/nvme/spdk_controller.hpp"
#include "nvme/settings.hpp"

namespace spdkio::spdk {

/// SPDK can't be told to leave off: an attempt that nobody waits for any more goes on to its end on the driver's
/// Thread, and what it has attached is detached again.
class ConnectAttempt : public std::enable_shared_from_this<ConnectAttempt> {
 public:
  /// Made on the home Thread. `id` without variations.
  ConnectAttempt(const nvme::ControllerSettings& settings, const spdk_nvme_transport_id& id,
                 std::shared_ptr<AddressBook> book);

  /// On the home Thread, once: gives the controller, attached. Throws Error, also when a stop is requested.
  Task<std::shared_ptr<SpdkController>> run(ThreadHandle driver);

 private:
  struct Call {
    spdk_nvme_ctrlr_opts opts;  // first: its address is what `attached` is told
    spdk_nvme_ctrlr* ctrlr;
  };

  static void attached(void* context, const spdk_nvme_transport_id* id, spdk_nvme_ctrlr* ctrlr,
                       const spdk_nvme_ctrlr_opts* opts) noexcept;
  // The driver's Thread.
  Task<> connect(std::shared_ptr<ConnectAttempt> self);
  Task<> try_addresses();
  spdk_nvme_probe_ctx* begin(std::string& said);
  Task<> poll_to_end(spdk_nvme_probe_ctx* probe, std::string& said);
  void let_go_of_foreign();
  void finish();
  void give_up();
  void dispose();

  const nvme::ControllerSettings settings_;
  const ThreadHandle home_;
  const std::shared_ptr<AddressBook> book_;
  Event ended_;  // home Thread

  // The driver's Thread until `ended_` is set.
  spdk_nvme_transport_id id_;
  Call call_{};
  std::shared_ptr<SpdkController> controller_;
  std::optional<Error> failure_;
  bool finished_ = false;
  bool abandoned_ = false;
};

}  // namespace spdkio::spdk
