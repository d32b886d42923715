// SocketGroup: the sockets of one Thread. Busy ones are received from in every round, without asking first whether
// there is something; quiet ones wait in an epoll set, which also wakes the Thread when it sleeps.
#pragma once

#include <spdkio/base/unique_fd.hpp>
#include <spdkio/runtime/poller.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace spdkio::nvme::tcp {

class SocketGroup;

/// A socket as its group calls it. It must have left the group before it is destroyed, and must not be destroyed by a
/// call that the group makes to it.
class PolledSocket {
 public:
  PolledSocket() = default;
  PolledSocket(const PolledSocket&) = delete;
  PolledSocket& operator=(const PolledSocket&) = delete;

  /// Receives what there is and works it off. False: there was nothing.
  virtual bool on_poll() noexcept = 0;
  /// The socket takes data again; only after `want_write`.
  virtual void on_writable() noexcept {}
  /// The connection has ended in both directions while `want_read` is off; called in every round until the socket has
  /// left the group.
  virtual void on_hang_up() noexcept {}
  int fd() const noexcept { return fd_; }

 protected:
  ~PolledSocket() = default;

 private:
  friend class SocketGroup;
  static constexpr std::size_t not_hot = ~std::size_t{0};
  int fd_ = -1;
  std::size_t hot_index_ = not_hot;
  std::uint64_t last_work_ticks_ = 0;
  std::uint32_t interest_ = 0;
};

/// Belongs to its Thread, as do the sockets in it. Sockets may be added and removed at any time on that Thread, also
/// from inside the group's calls; after `remove` no call to the socket begins any more.
class SocketGroup {
 public:
  /// The current Thread's, made at the first call. Throws Error. Whoever keeps it keeps it alive, on that Thread.
  static std::shared_ptr<SocketGroup> current();

  SocketGroup();
  SocketGroup(const SocketGroup&) = delete;
  SocketGroup& operator=(const SocketGroup&) = delete;
  ~SocketGroup();

  /// `fd` stays the caller's, open until `remove`. Throws Error when the kernel has no room.
  void add(PolledSocket& socket, int fd);
  void remove(PolledSocket& socket) noexcept;
  /// Asks for `on_writable` until told otherwise.
  void want_write(PolledSocket& socket, bool wanted) noexcept;
  /// Stops the calls of `on_poll`, whatever comes, until told otherwise.
  void want_read(PolledSocket& socket, bool wanted) noexcept;

  std::size_t size() const noexcept { return size_; }
  /// A buffer of the Thread's for one receive: what is not used before the next call of anybody is lost.
  std::span<std::byte> receive_buffer() noexcept { return {buffer_.get(), buffer_size}; }

 private:
  static constexpr std::size_t buffer_size = std::size_t{256} << 10;
  static constexpr std::size_t events_per_look = 64;
  /// How many rounds with busy sockets may pass before the quiet ones are looked at.
  static constexpr std::uint32_t rounds_between_looks = 8;

  PollResult poll() noexcept;
  bool poll_hot() noexcept;
  bool look_at_quiet() noexcept;
  void make_hot(PolledSocket& socket) noexcept;
  void make_quiet(PolledSocket& socket) noexcept;
  void set_interest(PolledSocket& socket, std::uint32_t interest) noexcept;
  void compact() noexcept;

  UniqueFd epoll_fd_;
  std::unique_ptr<std::byte[]> buffer_;
  std::uint64_t quiet_after_ticks_;
  std::size_t size_ = 0;
  std::size_t writers_ = 0;         // sockets that wait for room
  std::vector<PolledSocket*> hot_;  // null: left meanwhile
  std::size_t hot_count_ = 0;
  bool iterating_ = false;
  std::uint32_t rounds_ = 0;
  std::span<void*> events_;  // sockets of the look that is under way
  std::optional<Poller> poller_;
};

}  // namespace spdkio::nvme::tcp
