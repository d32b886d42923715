// PduReader: from the bytes of a connection to its PDUs. Receives large, parses many PDUs from one receive, and puts
// payload where its owner wants it: big ones straight from the socket.
#pragma once

#include <spdkio/engine/dma_span.hpp>
#include <spdkio/spec/tcp_pdu.hpp>

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace spdkio::nvme::tcp {

/// What a handler says about a PDU whose header has arrived.
enum class Accept : std::uint8_t {
  yes,
  later,  ///< no room for its data now: nothing more is received until `PduReader::resume`
  stop    ///< the connection is being given up; the reader is not used any more
};

/// Where the data of a PDU goes: `length` bytes from `offset` of a scatter list, which stays until `pdu_complete`.
/// Without a list the data is received and dropped.
struct DataTarget {
  DmaSpans spans{};
  std::uint64_t offset = 0;
};

/// Told by the reader. A PDU is announced when its header is there, checked, and its digest right; and is complete when
/// its data has arrived as well.
class PduHandler {
 public:
  /// `header` is the whole header of the type that its first bytes say, valid until `pdu_complete` of this PDU.
  /// `data_bytes` is 0 for PDUs without data. Called again with the same header after `later`.
  virtual Accept pdu_announced(const spec::tcp::CommonHeader& header, std::uint32_t data_bytes,
                               DataTarget& target) noexcept = 0;
  /// False: stop, as Accept::stop.
  virtual bool pdu_complete(const spec::tcp::CommonHeader& header, bool data_digest_right) noexcept = 0;
  /// The connection has to be terminated. `header` is as much of the PDU's header as has arrived and counts.
  virtual void protocol_violated(spec::tcp::Violation violation, std::span<const std::byte> header) noexcept = 0;

 protected:
  ~PduHandler() = default;
};

enum class ReceiveStatus : std::uint8_t {
  received,  ///< something came
  nothing,   ///< nothing was there
  closed,    ///< the other side sends no more
  failed,    ///< see `PduReader::receive_errno`
  stopped    ///< the handler said so, or a violation was reported
};

class PduReader {
 public:
  explicit PduReader(const spec::tcp::ReceiveRules& rules) noexcept : rules_(rules) {}
  PduReader(const PduReader&) = delete;
  PduReader& operator=(const PduReader&) = delete;

  /// Takes effect with the next PDU: what comes after the handshake.
  void set_rules(const spec::tcp::ReceiveRules& rules) noexcept { rules_ = rules; }
  const spec::tcp::ReceiveRules& rules() const noexcept { return rules_; }

  /// One receive from a non-blocking socket, and everything that it brought worked off. `buffer` is scratch memory of
  /// the caller's, the larger the better; nothing in it is needed afterwards.
  ReceiveStatus receive(int fd, std::span<std::byte> buffer, PduHandler& handler) noexcept;
  int receive_errno() const noexcept { return errno_; }
  /// Goes on after Accept::later: announces the same PDU again, and works off what had come after it.
  ReceiveStatus resume(PduHandler& handler) noexcept;
  bool waits_for_room() const noexcept { return state_ == State::refused; }

  /// Inside a PDU: the end of the stream here would cut it short.
  bool in_pdu() const noexcept { return state_ != State::header || stashed_ != 0; }
  /// The bytes of data that still have to come for the PDU that is announced, if any; their target must stay.
  std::uint32_t data_left() const noexcept { return state_ == State::data ? data_left_ : 0; }
  /// The target of the PDU that is being received goes away: what is left of its data is dropped. The PDU will still be
  /// reported as complete.
  void drop_data() noexcept { target_ = {}; }
  std::uint64_t bytes_received() const noexcept { return bytes_received_; }

  /// Works off bytes that did not come through `receive`: for tests and fuzzers.
  ReceiveStatus feed(std::span<const std::byte> bytes, PduHandler& handler) noexcept;

 private:
  enum class State : std::uint8_t { header, refused, padding, data, digest, stopped };
  static constexpr std::size_t max_segments = 16;
  /// Connections whose data PDUs are at least so long are received from in small pieces between them, so that the data
  /// itself needs no copy.
  static constexpr std::uint32_t long_data = 16384;
  static constexpr std::size_t bytes_between_long_data = 512;
  /// So many PDUs in a row without data end that.
  static constexpr std::uint32_t run_without_data = 16;

  const spec::tcp::CommonHeader& header() const noexcept {
    return *reinterpret_cast<const spec::tcp::CommonHeader*>(header_);
  }
  bool take_header(std::span<const std::byte>& bytes, PduHandler& handler) noexcept;
  bool common_header_fits(const std::byte* at, PduHandler& handler) noexcept;
  bool announce(std::span<const std::byte>& bytes, PduHandler& handler) noexcept;
  void take_data(std::span<const std::byte>& bytes) noexcept;
  bool take_digest(std::span<const std::byte>& bytes, PduHandler& handler) noexcept;
  bool complete(PduHandler& handler, bool digest_right) noexcept;
  void data_came() noexcept;
  void stash(std::span<const std::byte>& bytes, std::size_t up_to) noexcept;
  std::size_t add_target(iovec* iov, std::size_t room, std::size_t& total) const noexcept;
  void advance(std::size_t bytes, const std::byte* from) noexcept;
  ReceiveStatus result() const noexcept {
    return state_ == State::stopped ? ReceiveStatus::stopped : ReceiveStatus::received;
  }

  spec::tcp::ReceiveRules rules_;
  State state_ = State::header;
  spec::tcp::PduLayout layout_;
  bool layout_known_ = false;
  const std::byte* header_ = nullptr;  // in the receive buffer while a PDU is worked off at once, or in `stash_`
  std::uint32_t stashed_ = 0;
  std::uint32_t padding_left_ = 0;
  std::uint32_t data_left_ = 0;
  std::uint32_t digest_seen_ = 0;
  std::uint32_t crc_ = 0;
  bool mostly_long_data_ = false;
  std::uint32_t without_data_ = 0;
  int errno_ = 0;
  DataTarget target_;             // the part that is still to be filled
  std::size_t target_index_ = 0;  // the span that `target_.offset` counts from
  std::uint64_t bytes_received_ = 0;
  std::array<std::byte, spec::tcp::digest_size> digest_{};
  std::array<std::byte, spec::tcp::max_header_size + spec::tcp::digest_size> stash_{};
  std::vector<std::byte> held_;  // what came after a PDU that had to wait
};

}  // namespace spdkio::nvme::tcp
