#include "nvme/tcp/socket_group.hpp"

#include <spdkio/base/clock.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <chrono>

namespace spdkio::nvme::tcp {
namespace {

/// A socket that brought nothing for so long waits in the epoll set.
constexpr std::chrono::microseconds quiet_after{100};

constexpr char local_key = 0;

}  // namespace

std::shared_ptr<SocketGroup> SocketGroup::current() {
  auto& local = detail::ThreadCore::require_current("SocketGroup").local(&local_key);
  if (local == nullptr) local = std::make_shared<SocketGroup>();
  return std::static_pointer_cast<SocketGroup>(local);
}

SocketGroup::SocketGroup()
    : epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)),
      buffer_(std::make_unique_for_overwrite<std::byte[]>(buffer_size)),
      quiet_after_ticks_(ticks_from(quiet_after)) {
  if (!epoll_fd_) throw Error::from_errno(errno, "no epoll set for sockets").with_operation("epoll_create1");
  poller_.emplace([this] { return poll(); }, PollerOptions{.name = "sockets", .wake_fd = epoll_fd_.get()});
  poller_->pause();
}

SocketGroup::~SocketGroup() = default;

void SocketGroup::add(PolledSocket& socket, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &socket}};
  if (::epoll_ctl(epoll_fd_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    throw Error::from_errno(errno, "cannot watch a socket").with_operation("epoll_ctl");
  }
  socket.fd_ = fd;
  socket.interest_ = EPOLLIN;
  if (++size_ == 1) poller_->resume();
  make_hot(socket);
}

void SocketGroup::remove(PolledSocket& socket) noexcept {
  if (socket.fd_ < 0) return;
  if ((socket.interest_ & EPOLLOUT) != 0) --writers_;
  ::epoll_ctl(epoll_fd_.get(), EPOLL_CTL_DEL, socket.fd_, nullptr);
  make_quiet(socket);
  for (void*& event : events_) {
    if (event == &socket) event = nullptr;
  }
  socket.fd_ = -1;
  if (--size_ == 0) poller_->pause();
}

void SocketGroup::set_interest(PolledSocket& socket, std::uint32_t interest) noexcept {
  if (socket.fd_ < 0 || socket.interest_ == interest) return;
  if (((socket.interest_ ^ interest) & EPOLLOUT) != 0) (interest & EPOLLOUT) != 0 ? ++writers_ : --writers_;
  socket.interest_ = interest;
  epoll_event event{.events = interest, .data = {.ptr = &socket}};
  ::epoll_ctl(epoll_fd_.get(), EPOLL_CTL_MOD, socket.fd_, &event);
}

void SocketGroup::want_write(PolledSocket& socket, bool wanted) noexcept {
  set_interest(socket, wanted ? socket.interest_ | EPOLLOUT : socket.interest_ & ~std::uint32_t{EPOLLOUT});
}

void SocketGroup::want_read(PolledSocket& socket, bool wanted) noexcept {
  if (socket.fd_ < 0) return;
  set_interest(socket, wanted ? socket.interest_ | EPOLLIN : socket.interest_ & ~std::uint32_t{EPOLLIN});
  wanted ? make_hot(socket) : make_quiet(socket);
}

void SocketGroup::make_hot(PolledSocket& socket) noexcept {
  socket.last_work_ticks_ = detail::ThreadCore::current()->batch_ticks();
  if (socket.hot_index_ != PolledSocket::not_hot) return;
  socket.hot_index_ = hot_.size();
  hot_.push_back(&socket);
  ++hot_count_;
}

void SocketGroup::make_quiet(PolledSocket& socket) noexcept {
  if (socket.hot_index_ == PolledSocket::not_hot) return;
  hot_[socket.hot_index_] = nullptr;
  socket.hot_index_ = PolledSocket::not_hot;
  --hot_count_;
  if (!iterating_) compact();
}

void SocketGroup::compact() noexcept {
  if (hot_.size() == hot_count_) return;
  std::size_t next = 0;
  for (PolledSocket* socket : hot_) {
    if (socket == nullptr) continue;
    socket->hot_index_ = next;
    hot_[next++] = socket;
  }
  hot_.resize(next);
}

bool SocketGroup::poll_hot() noexcept {
  bool worked = false;
  const std::uint64_t now = detail::ThreadCore::current()->batch_ticks();
  iterating_ = true;
  for (std::size_t i = 0; i < hot_.size(); ++i) {
    PolledSocket* const socket = hot_[i];
    if (socket == nullptr) continue;
    const bool found = socket->on_poll();
    worked |= found;
    if (hot_[i] == nullptr) continue;
    if (found) {
      socket->last_work_ticks_ = now;
    } else if (now - socket->last_work_ticks_ > quiet_after_ticks_) {
      make_quiet(*socket);
    }
  }
  iterating_ = false;
  compact();
  return worked;
}

bool SocketGroup::look_at_quiet() noexcept {
  std::array<epoll_event, events_per_look> events;
  const int count = ::epoll_wait(epoll_fd_.get(), events.data(), static_cast<int>(events.size()), 0);
  if (count <= 0) return false;
  std::array<void*, events_per_look> sockets;
  const auto used = static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < used; ++i) sockets[i] = events[i].data.ptr;
  events_ = {sockets.data(), used};
  bool worked = false;
  for (std::size_t i = 0; i < used; ++i) {
    constexpr std::uint32_t ended = EPOLLERR | EPOLLHUP;
    if (sockets[i] != nullptr && (events[i].events & (EPOLLOUT | ended)) != 0) {
      auto& socket = *static_cast<PolledSocket*>(sockets[i]);
      if ((socket.interest_ & EPOLLOUT) != 0) {
        socket.on_writable();
        worked = true;
      }
    }
    if (sockets[i] == nullptr || (events[i].events & (EPOLLIN | ended)) == 0) continue;
    auto& socket = *static_cast<PolledSocket*>(sockets[i]);
    if (socket.hot_index_ != PolledSocket::not_hot) continue;  // was polled in this round
    if ((socket.interest_ & EPOLLIN) == 0) {
      if ((events[i].events & ended) != 0) socket.on_hang_up();
      continue;
    }
    if (!socket.on_poll()) continue;
    worked = true;
    if (sockets[i] != nullptr && (socket.interest_ & EPOLLIN) != 0) make_hot(socket);
  }
  events_ = {};
  return worked;
}

PollResult SocketGroup::poll() noexcept {
  bool worked = poll_hot();
  const bool somebody_waits = size_ != hot_count_ || writers_ != 0;
  if (somebody_waits && (hot_count_ == 0 || ++rounds_ >= rounds_between_looks)) {
    rounds_ = 0;
    worked |= look_at_quiet();
  }
  return worked ? PollResult::busy : PollResult::idle;
}

}  // namespace spdkio::nvme::tcp
