// For tests: a temporary directory, and a client that sends what it likes.
#pragma once

#include <spdkio/base/unique_fd.hpp>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "rpc/socket_address.hpp"

namespace spdkio::rpc {

class TempDir {
 public:
  TempDir() : path_((std::filesystem::temp_directory_path() / "spdkio_rpc_XXXXXX").string()) {
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  TempDir(const TempDir&) = delete;
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

/// Blocking, and gives up on a test rather than hang.
class RawClient {
 public:
  explicit RawClient(const std::string& address) {
    const SocketAddress where = SocketAddress::parse(address);
    fd_ = UniqueFd(socket(where.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(fd_.get(), where.get(), where.size()), 0) << address;
  }

  int fd() const { return fd_.get(); }
  void close() { fd_.reset(); }
  void end_of_input() { shutdown(fd_.get(), SHUT_WR); }

  /// False when the server is gone.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t length = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (length <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(length));
    }
    return true;
  }

  /// The next line without its newline; "<end>" at the end of the stream.
  std::string line() {
    while (true) {
      const auto newline = received_.find('\n');
      if (newline != std::string::npos) {
        std::string out = received_.substr(0, newline);
        received_.erase(0, newline + 1);
        return out;
      }
      pollfd waiting{.fd = fd_.get(), .events = POLLIN, .revents = 0};
      if (poll(&waiting, 1, 60'000) != 1) return "<nothing>";
      std::array<char, 65536> bytes;
      const ssize_t length = recv(fd_.get(), bytes.data(), bytes.size(), 0);
      if (length <= 0) return received_.empty() ? "<end>" : "<cut> " + received_;
      received_.append(bytes.data(), static_cast<std::size_t>(length));
    }
  }

 private:
  UniqueFd fd_;
  std::string received_;
};

}  // namespace spdkio::rpc
