#include "rpc/listener.hpp"

#include <spdkio/base/error.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "rpc/socket_address.hpp"

namespace spdkio::rpc {
namespace {

constexpr int backlog = 512;
constexpr mode_t owner_only = 0600;

[[noreturn]] void fail(int error, std::string message) {
  throw Error::from_errno(error, std::move(message)).with_operation("rpc listen");
}

std::string owner_of_lock(int fd) {
  char text[16] = "";
  const ssize_t length = pread(fd, text, sizeof text - 1, 0);
  const std::string pid(text, length > 0 ? static_cast<std::size_t>(length) : 0);
  const bool known = !pid.empty() && pid.find_first_not_of("0123456789\n") == std::string::npos;
  return known ? fmt::format("process {}", pid.substr(0, pid.find('\n'))) : "another process";
}

}  // namespace

Listener::Listener(const std::string& address, bool allow_remote) {
  const SocketAddress where = SocketAddress::parse(address);
  if (!where.is_loopback() && !allow_remote) {
    throw Error(
        Misuse::invalid_argument,
        fmt::format("RPC address {}: whoever reaches this socket controls the process, and it is not a loopback "
                    "address",
                    address))
        .with_hint("listen on 127.0.0.1 or [::1], or set allow_remote");
  }
  if (where.is_unix()) {
    path_ = where.path();
    lock_path_ = path_ + ".lock";
    lock();
  }
  try {
    if (where.is_unix()) remove_stale();
    fd_ = UniqueFd(socket(where.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd_) fail(errno, "cannot make a socket");
    if (where.is_unix()) {
      // bind() gives the file the mode of the socket, less the umask: it is never open to others, not even for a
      // moment.
      fchmod(fd_.get(), owner_only);
    } else {
      const int on = 1;
      setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      if (where.family() == AF_INET6) setsockopt(fd_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (bind(fd_.get(), where.get(), where.size()) != 0) fail(errno, fmt::format("cannot bind {}", address));
    if (where.is_unix()) {
      struct stat made{};
      if (stat(path_.c_str(), &made) != 0) fail(errno, fmt::format("cannot look at {}", path_));
      device_ = made.st_dev;
      inode_ = made.st_ino;
      if (chmod(path_.c_str(), owner_only) != 0) fail(errno, fmt::format("cannot set the mode of {}", path_));
    }
    if (listen(fd_.get(), backlog) != 0) fail(errno, fmt::format("cannot listen on {}", address));
    address_ = where.is_unix() ? path_ : SocketAddress::of_socket(fd_.get()).to_string();
  } catch (...) {
    close();
    throw;
  }
}

void Listener::lock() {
  while (true) {
    lock_fd_ = UniqueFd(open(lock_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, owner_only));
    if (!lock_fd_) fail(errno, fmt::format("cannot open the lock file {}", lock_path_));
    if (flock(lock_fd_.get(), LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      const std::string owner = owner_of_lock(lock_fd_.get());
      lock_fd_.reset();
      if (error != EWOULDBLOCK) fail(error, fmt::format("cannot lock {}", lock_path_));
      fail(EADDRINUSE, fmt::format("{} serves RPC at {}", owner, path_));
    }
    // The former owner may have removed the file between our open and our lock; a lock on it would guard nothing.
    struct stat held{};
    struct stat named{};
    if (fstat(lock_fd_.get(), &held) == 0 && stat(lock_path_.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
        held.st_ino == named.st_ino) {
      break;
    }
  }
  const std::string pid = fmt::format("{}\n", getpid());
  if (ftruncate(lock_fd_.get(), 0) != 0 || pwrite(lock_fd_.get(), pid.data(), pid.size(), 0) < 0) {
    // The number is only for messages.
  }
}

void Listener::remove_stale() {
  struct stat found{};
  if (lstat(path_.c_str(), &found) != 0) {
    if (errno == ENOENT) return;
    fail(errno, fmt::format("cannot look at {}", path_));
  }
  if (!S_ISSOCK(found.st_mode)) fail(EADDRINUSE, fmt::format("{} is in the way: it is not a socket", path_));
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe) fail(errno, "cannot make a socket");
  const SocketAddress where = SocketAddress::parse(path_);
  if (connect(probe.get(), where.get(), where.size()) == 0 || errno == EAGAIN) {
    fail(EADDRINUSE, fmt::format("somebody listens on {} already, without a lock", path_));
  }
  if (errno != ECONNREFUSED && errno != ENOENT) fail(errno, fmt::format("cannot tell if anybody listens on {}", path_));
  if (unlink(path_.c_str()) != 0 && errno != ENOENT)
    fail(errno, fmt::format("cannot remove the stale socket {}", path_));
}

void Listener::close() noexcept {
  if (inode_ != 0) {
    struct stat found{};
    if (lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == inode_) unlink(path_.c_str());
    inode_ = 0;
  }
  fd_.reset();
  if (lock_fd_) {
    // Before the lock goes, so that what is removed can't be somebody else's.
    unlink(lock_path_.c_str());
    lock_fd_.reset();
  }
}

}  // namespace spdkio::rpc
