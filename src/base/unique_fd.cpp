#include <spdkio/base/unique_fd.hpp>

#include <unistd.h>

#include <cerrno>

namespace spdkio {

void UniqueFd::reset(int fd) noexcept {
  close();
  fd_ = fd < 0 ? -1 : fd;
}

int UniqueFd::close() noexcept {
  const int fd = release();
  if (fd < 0) return 0;
  const int saved = errno;
  const int result = ::close(fd) == 0 ? 0 : errno;
  errno = saved;
  // Linux frees the descriptor before a signal can interrupt close(); trying again could close somebody else's.
  return result == EINTR ? 0 : result;
}

}  // namespace spdkio
