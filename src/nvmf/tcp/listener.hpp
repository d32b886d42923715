// Listener: a listening socket of a target, and the subsystems that share it.
#pragma once

#include <spdkio/base/unique_fd.hpp>
#include <spdkio/nvme/transport_id.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <cstddef>
#include <functional>
#include <memory>

#include "nvme/tcp/socket_address.hpp"
#include "nvme/tcp/socket_group.hpp"
#include "nvmf/transport_settings.hpp"

namespace spdkio::nvmf::tcp {

/// Belongs to the target's Thread, where it accepts.
class Listener final : public nvme::tcp::PolledSocket {
 public:
  using Accepted = std::function<void(UniqueFd fd, const nvme::TransportId& where)>;
  /// Throws Error. `where` with a port of 0 becomes what the kernel chose; `address` is what `where` resolved to.
  Listener(nvme::TransportId where, nvme::tcp::SocketAddress address, const TransportSettings& settings,
           Accepted accepted);
  ~Listener();

  const nvme::TransportId& where() const noexcept { return where_; }
  std::size_t users = 1;

 private:
  /// Listening goes on after a while.
  struct Pause : spdkio::detail::TimerNode {
    Listener* listener = nullptr;
  };
  bool on_poll() noexcept override;
  void pause() noexcept;

  nvme::TransportId where_;
  UniqueFd fd_;
  Accepted accepted_;
  std::shared_ptr<nvme::tcp::SocketGroup> group_;
  spdkio::detail::ThreadCore& core_;
  Pause pause_;
};

}  // namespace spdkio::nvmf::tcp
