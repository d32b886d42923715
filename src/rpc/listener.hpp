// The listening socket of an RPC server, and its right to its path.
#pragma once

#include <spdkio/base/unique_fd.hpp>

#include <sys/types.h>

#include <string>

namespace spdkio::rpc {

/// For a Unix socket at P: holds a lock on `P.lock`, as SPDK does, so that neither takes the other's path; removes a
/// socket file that nobody listens on; the file gets mode 0600 whatever the umask is. Both files go when it is
/// destroyed.
class Listener {
 public:
  /// Throws Error: Misuse::invalid_argument for bad addresses, EADDRINUSE when somebody else listens there (the message
  /// names the process where it is known), or what the kernel says.
  Listener(const std::string& address, bool allow_remote);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { close(); }

  int fd() const { return fd_.get(); }
  /// With the port that the kernel chose when it was 0.
  const std::string& address() const { return address_; }
  bool is_unix() const { return !path_.empty(); }
  void close() noexcept;

 private:
  void lock();
  void remove_stale();

  std::string address_;
  std::string path_;  // empty: TCP
  std::string lock_path_;
  UniqueFd lock_fd_;
  UniqueFd fd_;
  dev_t device_ = 0;  // of the socket file, to remove ours only
  ino_t inode_ = 0;
};

}  // namespace spdkio::rpc
