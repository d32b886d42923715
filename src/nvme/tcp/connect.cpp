#include "nvme/tcp/connect.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/event.hpp>

#include <fmt/format.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "nvme/tcp/socket_group.hpp"

namespace spdkio::nvme::tcp {
namespace {

UniqueFd make_socket(const SocketAddress& address, const SocketOptions& options) {
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd) throw Error::from_errno(errno, "cannot make a TCP socket").with_operation("socket");
  apply_socket_options(fd.get(), address.family(), options);
  return fd;
}

/// In the Thread's group until the connection is made or has failed.
class ConnectWait final : public PolledSocket {
 public:
  ConnectWait(SocketGroup& group, int fd) : group_(group) {
    group_.add(*this, fd);
    group_.want_read(*this, false);
    group_.want_write(*this, true);
  }
  ~ConnectWait() { group_.remove(*this); }
  bool on_poll() noexcept override { return false; }
  void on_writable() noexcept override {
    group_.remove(*this);
    done.set();
  }
  void on_hang_up() noexcept override { on_writable(); }

  Event done;

 private:
  SocketGroup& group_;
};

}  // namespace

Task<UniqueFd> connect(SocketAddress to, SocketOptions options, std::optional<SocketAddress> from) {
  const auto fail = [&to](int error) {
    Error failure =
        Error::from_errno(error, fmt::format("no connection to {}", to.to_string())).with_operation("connect");
    return error == ECONNREFUSED ? failure.with_hint("nobody listens there; is the target running, and on this port?")
                                 : failure;
  };
  UniqueFd fd = make_socket(to, options);
  if (from && ::bind(fd.get(), from->get(), from->size()) != 0) {
    throw Error::from_errno(errno, fmt::format("cannot use the own address {}", from->to_string()))
        .with_operation("bind");
  }
  if (::connect(fd.get(), to.get(), to.size()) == 0) co_return std::move(fd);
  if (errno != EINPROGRESS) throw fail(errno);
  {
    const std::shared_ptr<SocketGroup> group = SocketGroup::current();
    ConnectWait wait(*group, fd.get());
    co_await wait.done.wait();
  }
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) throw fail(error);
  co_return std::move(fd);
}

UniqueFd listen(const SocketAddress& at, const SocketOptions& options, int backlog) {
  const auto fail = [&at](const char* operation) {
    const int error = errno;
    const Error failure =
        Error::from_errno(error, fmt::format("cannot listen on {}", at.to_string())).with_operation(operation);
    return error == EADDRINUSE ? failure.with_hint("another program, or another target of this one, has the port")
                               : failure;
  };
  UniqueFd fd = make_socket(at, options);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (at.is_v6()) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(fd.get(), at.get(), at.size()) != 0) throw fail("bind");
  if (::listen(fd.get(), backlog) != 0) throw fail("listen");
  return fd;
}

}  // namespace spdkio::nvme::tcp
