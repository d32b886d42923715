// FakeConnection: one connection to a FakeTarget, on an OS thread of its own.
#pragma once

#include <spdkio/base/nvme_status.hpp>
#include <spdkio/base/unique_fd.hpp>
#include <spdkio/spec/command.hpp>
#include <spdkio/spec/tcp_pdu.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace spdkio::nvme::test {

class FakeTarget;

/// Reads, answers and misbehaves as its target says.
class FakeConnection {
 public:
  FakeConnection(FakeTarget& target, UniqueFd fd) : target_(target), fd_(std::move(fd)) {}

  std::uint16_t qid() const noexcept { return qid_; }
  void send_bytes(std::span<const std::byte> bytes);
  template <class T>
  void send_struct(const T& value) {
    send_bytes(std::as_bytes(std::span(&value, 1)));
  }
  void respond(const spec::Command& command, std::uint32_t dw0 = 0, const NvmeStatus& status = {},
               std::uint32_t dw1 = 0);
  void send_data(const spec::Command& command, std::span<const std::byte> data, bool with_success);
  /// Closes both directions; the thread ends.
  void hang_up() noexcept;
  /// The connection stays open and says nothing more.
  void fall_silent() noexcept { silent_ = true; }
  int fd() const noexcept { return fd_.get(); }

 private:
  friend class FakeTarget;
  struct Pdu {
    spec::tcp::CommonHeader common;
    std::vector<std::byte> bytes;  // all of it
    std::vector<std::byte> data;
    template <class T>
    T as() const;
  };
  void run();
  bool receive(void* into, std::size_t size);
  std::optional<Pdu> receive_pdu();
  bool handshake();
  void handle(const spec::Command& command, const std::vector<std::byte>& in_capsule);
  void handle_fabrics(const spec::Command& command, const std::vector<std::byte>& data);
  void handle_admin(const spec::Command& command);
  void handle_io(const spec::Command& command, const std::vector<std::byte>& in_capsule);
  std::optional<std::vector<std::byte>> fetch(const spec::Command& command, std::uint32_t length);

  FakeTarget& target_;
  UniqueFd fd_;
  std::uint16_t qid_ = 0xFFFF;
  bool digests_on_ = false;
  bool silent_ = false;
  std::uint32_t cc_ = 0;
  std::deque<Pdu> early_;  // commands that came while data was awaited
};

}  // namespace spdkio::nvme::test
