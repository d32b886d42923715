#include "nvmf/tcp/listener.hpp"

#include <spdkio/base/log.hpp>

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>

#include "nvme/tcp/connect.hpp"

namespace spdkio::nvmf::tcp {
namespace {

/// Connections taken at once, so that a flood of them leaves room for others on the Thread.
constexpr int accepted_per_poll = 64;
/// A process without room for another descriptor tries again then; the connections wait in the kernel.
constexpr std::chrono::milliseconds pause_without_room{100};

}  // namespace

Listener::Listener(nvme::TransportId where, nvme::tcp::SocketAddress address, const TransportSettings& settings,
                   Accepted accepted)
    : where_(std::move(where)),
      fd_(nvme::tcp::listen(address, {.congestion_control = settings.congestion_control_text},
                            static_cast<int>(settings.backlog))),
      accepted_(std::move(accepted)),
      group_(nvme::tcp::SocketGroup::current()),
      core_(spdkio::detail::ThreadCore::require_current("listen")) {
  pause_.listener = this;
  pause_.fire = [](spdkio::detail::TimerNode& node) noexcept {
    Listener& self = *static_cast<Pause&>(node).listener;
    self.group_->want_read(self, true);
  };
  where_.trsvcid = std::to_string(nvme::tcp::SocketAddress::of_socket(fd_.get()).port());
  where_.adrfam = address.is_v6() ? nvme::AddressFamily::ipv6 : nvme::AddressFamily::ipv4;
  group_->add(*this, fd_.get());
}

Listener::~Listener() {
  if (pause_.queued()) core_.cancel_timer(pause_);
  group_->remove(*this);
}

bool Listener::on_poll() noexcept {
  for (int i = 0; i < accepted_per_poll; ++i) {
    UniqueFd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno != EAGAIN) pause();
      return i > 0;
    }
    accepted_(std::move(fd), where_);
  }
  return true;
}

void Listener::pause() noexcept {
  log::warn("nvmf: cannot accept a connection ({}); trying again later", std::strerror(errno));
  group_->want_read(*this, false);
  core_.add_timer(pause_, pause_without_room);
}

}  // namespace spdkio::nvmf::tcp
