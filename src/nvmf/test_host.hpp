// RawHost: a host made of a blocking socket, for tests: sends what it is told, right or wrong.
#pragma once

#include <spdkio/base/unique_fd.hpp>
#include <spdkio/spec/fabrics.hpp>
#include <spdkio/spec/tcp_pdu.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace spdkio::nvmf::test {

using Bytes = std::vector<std::byte>;

/// A PDU as it was received, without digests.
struct Pdu {
  Bytes header;
  Bytes data;
  bool digests_right = true;
  const spec::tcp::CommonHeader& common() const {
    return *reinterpret_cast<const spec::tcp::CommonHeader*>(header.data());
  }
  spec::tcp::PduType type() const { return common().type; }
  template <class T>
  const T& as() const {
    return *reinterpret_cast<const T*>(header.data());
  }
};

struct Answer {
  spec::Completion completion;
  Bytes data;
  std::uint32_t r2ts = 0;
  NvmeStatus status() const { return completion.status(); }
};

class RawHost {
 public:
  explicit RawHost(std::uint16_t port);

  // ---- bytes and PDUs
  void send(std::span<const std::byte> bytes);
  template <class T>
    requires(std::is_trivially_copyable_v<T> && !std::is_convertible_v<T, std::span<const std::byte>>)
  void send(const T& value) {
    send(std::span<const std::byte>(std::as_bytes(std::span<const T, 1>(&value, 1))));
  }
  /// With the lengths, flags and digests that belong to it.
  void send_pdu(spec::tcp::PduType type, std::span<const std::byte> rest_of_header,
                std::span<const std::byte> data = {}, std::uint8_t flags = 0);
  /// The next PDU; nothing when the target has closed the connection. Throws after 10 seconds.
  std::optional<Pdu> receive();
  /// Reads until the target closes; false when it does not within 10 seconds.
  bool closed_by_target();
  void finish_sending();
  void close() { fd_.reset(); }
  int fd() const { return fd_.get(); }

  // ---- the protocol
  std::optional<Pdu> handshake(std::uint8_t digests = 0, std::uint8_t hpda = 0);
  Answer connect_queue(std::uint16_t qid, std::uint16_t sqsize, std::uint16_t cntlid, const std::string& subnqn,
                       const std::string& hostnqn = default_hostnqn, std::uint32_t kato = 0);
  std::uint64_t property(std::uint32_t offset, bool eight_bytes = false);
  Answer set_property(std::uint32_t offset, std::uint64_t value);
  /// Sends a capsule and gives its identifier.
  std::uint16_t submit(spec::Command command, std::span<const std::byte> capsule_data = {});
  /// Data in the capsule if there is some, an SGL for `expected` bytes otherwise; takes part in R2T with `r2t_data`.
  Answer run(spec::Command command, std::span<const std::byte> capsule_data = {}, std::uint32_t expected = 0,
             std::span<const std::byte> r2t_data = {});
  /// The answer to a command that was submitted; those to others are kept for later.
  Answer wait(std::uint16_t cid, std::span<const std::byte> r2t_data = {});
  void send_h2c(std::uint16_t cid, std::uint16_t ttag, std::uint32_t offset, std::span<const std::byte> data,
                bool last);

  bool header_digest = false;
  bool data_digest = false;
  std::uint32_t max_h2c = 0;
  std::uint16_t next_cid = 1;
  static inline const std::string default_hostnqn =
      "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555";

 private:
  bool read_exactly(std::span<std::byte> into);
  UniqueFd fd_;
  struct Partial {
    std::uint16_t cid = 0;
    Answer answer;
    bool done = false;
  };
  Partial& partial(std::uint16_t cid);
  std::vector<Partial> partials_;
};

}  // namespace spdkio::nvmf::test
