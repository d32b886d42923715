// An owned file descriptor.
#pragma once

#include <utility>

namespace spdkio {

/// Owns a file descriptor of the kernel and closes it when destroyed; -1 stands for none. Move-only.
class UniqueFd {
 public:
  constexpr UniqueFd() noexcept = default;
  constexpr explicit UniqueFd(int fd) noexcept : fd_(fd < 0 ? -1 : fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  constexpr int get() const noexcept { return fd_; }
  constexpr explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Gives the descriptor to the caller, who closes it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes the descriptor and takes `fd` instead. Leaves errno alone; what close() reports is lost, see `close`.
  void reset(int fd = -1) noexcept;
  /// Closes the descriptor and gives the errno of it, 0 on success or if there was none: for files whose delayed write
  /// errors matter. The descriptor is gone in any case.
  int close() noexcept;

 private:
  int fd_ = -1;
};

}  // namespace spdkio
