#include "rpc/connection.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace spdkio::rpc {
namespace {

constexpr std::size_t drained_at_most = 1u << 20;

}  // namespace

void Connection::on_events(std::uint32_t events) noexcept {
  constexpr std::uint32_t ended = EPOLLERR | EPOLLHUP | EPOLLRDHUP;
  if ((events & (EPOLLIN | ended)) != 0) readable_.set();
  if ((events & (EPOLLOUT | ended)) != 0) writable_.set();
}

void Connection::stop_reading() noexcept {
  reading_ = false;
  readable_.set();
}

// Events come at changes only (EPOLLET), so each flag is taken down before the call that may find nothing.
Task<std::size_t> Connection::receive(std::span<char> into) {
  while (reading_) {
    readable_.reset();
    const ssize_t length = ::recv(fd_.get(), into.data(), into.size(), 0);
    if (length >= 0) co_return static_cast<std::size_t>(length);
    if (errno == EINTR) continue;
    if (errno != EAGAIN) throw Error::from_errno(errno, "receiving from an RPC client");
    co_await readable_.wait();
  }
  co_return 0;
}

Task<> Connection::send(std::string_view text, std::chrono::nanoseconds stall_limit) {
  while (!text.empty()) {
    writable_.reset();
    const ssize_t length = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (length >= 0) {
      text.remove_prefix(static_cast<std::size_t>(length));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) throw Error::from_errno(errno, "answering an RPC client");
    co_await with_timeout(stall_limit, writable_.wait());
  }
}

Task<> Connection::drain() {
  std::array<char, 4096> bytes{};
  std::size_t total = 0;
  reading_ = true;
  while (total < drained_at_most) {
    const std::size_t length = co_await receive(bytes);
    if (length == 0) co_return;
    total += length;
  }
}

Task<> Connection::finish(std::chrono::nanoseconds limit) {
  ::shutdown(fd_.get(), SHUT_WR);
  try {
    co_await with_timeout(limit, drain());
  } catch (const Error&) {
    // Nobody is left to be told.
  }
}

}  // namespace spdkio::rpc
