// One client of an RPC server: a socket that is never waited for, and the flags that epoll sets.
#pragma once

#include <spdkio/base/unique_fd.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/task.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace spdkio::rpc {

/// Belongs to one Thread. One task uses it at a time.
class Connection {
 public:
  Connection(UniqueFd fd, std::uint64_t number) : fd_(std::move(fd)), number_(number) {}

  int fd() const { return fd_.get(); }
  std::uint64_t number() const { return number_; }

  /// From the poller: what epoll said.
  void on_events(std::uint32_t events) noexcept;
  /// From the server: nothing new is to be read. A task inside `receive` comes back.
  void stop_reading() noexcept;
  bool reading() const { return reading_; }

  /// Some bytes; 0 at the end of the stream, or after `stop_reading`. Throws Error.
  Task<std::size_t> receive(std::span<char> into);
  /// All of `text`, which must live until then. Throws Error; ETIMEDOUT when the client took nothing for `stall_limit`.
  Task<> send(std::string_view text, std::chrono::nanoseconds stall_limit);
  /// Says good-bye such that what was sent arrives: no more output, and input is thrown away for a while.
  Task<> finish(std::chrono::nanoseconds limit);

 private:
  Task<> drain();

  UniqueFd fd_;
  std::uint64_t number_;
  bool reading_ = true;
  Event readable_;
  Event writable_;
};

}  // namespace spdkio::rpc
