// RegisteredFiles: the table of files that a ring knows by number, which saves looking them up for each request.
#pragma once

#include <liburing.h>

#include <vector>

namespace spdkio::bdev::file {

class RegisteredFiles {
 public:
  /// Reserves the table; without one (an old kernel, a low limit of open files) `add` always answers -1.
  explicit RegisteredFiles(io_uring& ring);

  /// The number of `fd`, or -1: use the descriptor itself.
  int add(int fd) noexcept;
  /// Nothing with that number is in flight any more. -1 is ignored.
  void remove(int number) noexcept;

 private:
  io_uring& ring_;
  std::vector<bool> used_;
};

}  // namespace spdkio::bdev::file
