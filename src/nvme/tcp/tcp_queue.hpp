// TcpQueue: the host's end of one NVMe/TCP connection, which is one queue pair.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/base/unique_fd.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread_core.hpp>
#include <spdkio/spec/command.hpp>
#include <spdkio/spec/completion.hpp>
#include <spdkio/spec/tcp_pdu.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nvme/tcp/pdu_reader.hpp"
#include "nvme/tcp/send_queue.hpp"
#include "nvme/tcp/socket_group.hpp"
#include "nvme/transport.hpp"

namespace spdkio::nvme::tcp {

/// What both sides of the handshake ask for.
struct HandshakeOptions {
  bool header_digest = false;
  bool data_digest = false;
};

/// R2Ts that a controller may have outstanding for one command.
inline constexpr std::uint32_t max_r2t = 16;

/// A command's data that did not arrive whole or right.
inline constexpr NvmeStatus data_transfer_failed{.sc = 0x04};
inline constexpr NvmeStatus transient_transport_error{.sc = 0x22};

class TcpQueue final : public TransportQueue, private PolledSocket, private PduHandler {
 public:
  /// `device` is for errors. `parameters.entries - 1` requests fit.
  TcpQueue(std::string device, const QueueParameters& parameters, QueueEvents& events);
  ~TcpQueue() override;

  /// Takes the connected socket over and exchanges ICReq and ICResp. Throws Error; `stop` is due all the same.
  Task<> handshake(UniqueFd fd, HandshakeOptions options);
  /// From now on failures go to the QueueEvents.
  void hand_over() noexcept;
  /// Sends a command and awaits its answer, whatever that is. `data` needs to be no DMA memory and stays until the end.
  /// Throws Error when the connection is lost.
  Task<spec::Completion> execute(spec::Command command, std::span<std::byte> data, spec::DataTransfer direction);

  // ---- TransportQueue
  bool submit(Request& request) noexcept override;
  std::size_t poll() noexcept override;
  int wake_fd() const noexcept override { return -1; }
  bool polls_itself() const noexcept override { return true; }
  void hold_cid(std::uint16_t cid) noexcept override;
  void release_cid(std::uint16_t cid) noexcept override;
  Task<> stop(bool orderly) override;

 private:
  enum class Phase : std::uint8_t { handshake, running, failed, stopped };

  /// What is known of a command in flight; found by its CID.
  struct Slot : SentNotice {
    TcpQueue* queue = nullptr;
    Request* request = nullptr;
    std::uint64_t sequence = 0;
    std::uint64_t stream_position = 0;  // of the capsule's first byte
    std::uint32_t received = 0;         // bytes of data that came, all of them in order
    std::uint32_t asked_for = 0;        // bytes of data that R2Ts asked for, all of them in order
    std::uint32_t unsent = 0;           // notices that are due: payload of R2Ts, or in the capsule, still referred to
    std::uint16_t cid = 0;
    std::uint16_t next_free = 0;
    bool answered = false;  // `answer` waits until the payload has been sent
    bool held = false;
    bool data_damaged = false;
    spec::Completion answer;
  };
  struct Flush : spdkio::detail::Deferred {
    TcpQueue* queue = nullptr;
  };

  // ---- PolledSocket
  bool on_poll() noexcept override;
  void on_writable() noexcept override;
  void on_hang_up() noexcept override;
  // ---- PduHandler
  Accept pdu_announced(const spec::tcp::CommonHeader& header, std::uint32_t data_bytes,
                       DataTarget& target) noexcept override;
  bool pdu_complete(const spec::tcp::CommonHeader& header, bool data_digest_right) noexcept override;
  void protocol_violated(spec::tcp::Violation violation, std::span<const std::byte> header) noexcept override;

  void send_ic_req(HandshakeOptions options);
  bool take_ic_resp(const spec::tcp::IcResp& response) noexcept;
  bool take_response(const spec::tcp::CapsuleResp& response) noexcept;
  bool take_r2t(const spec::tcp::R2t& r2t) noexcept;
  bool take_data_end(const spec::tcp::DataPdu& pdu, bool digest_right) noexcept;
  Accept announce_data(const spec::tcp::DataPdu& pdu, std::uint32_t data_bytes, DataTarget& target) noexcept;

  void write_capsule(Slot& slot, Request& request);
  void write_data(Slot& slot, std::uint16_t ttag, std::uint32_t offset, std::uint32_t length);
  std::byte* add_header(const void* header, std::size_t bytes, std::uint32_t padding);
  void add_payload(Slot& slot, std::uint64_t offset, std::uint32_t length);
  std::uint32_t padding_before_data(std::uint32_t header_bytes) const noexcept;

  Slot* find(std::uint16_t cid) noexcept;
  void answer(Slot& slot, const spec::Completion& completion) noexcept;
  void finish(Slot& slot) noexcept;
  void free_slot(Slot& slot) noexcept;
  static void on_sent(SentNotice& notice) noexcept;

  bool receive() noexcept;
  void flush() noexcept;
  void flush_later() noexcept { core_->defer(flush_); }
  /// The connection can't go on.
  void fail(Error why) noexcept;
  bool violated(spec::tcp::FatalError error, std::uint32_t information, std::span<const std::byte> header,
                std::string_view what) noexcept;
  void terminate(spec::tcp::Violation violation, std::span<const std::byte> header) noexcept;
  void lose_all() noexcept;

  const std::string device_;
  const QueueParameters parameters_;
  QueueEvents& events_;
  spdkio::detail::ThreadCore* core_;
  std::shared_ptr<SocketGroup> group_;
  UniqueFd fd_;
  Phase phase_ = Phase::handshake;
  bool handed_over_ = false;
  bool in_group_ = false;
  bool write_blocked_ = false;
  PduReader reader_;
  SendQueue send_;
  Flush flush_;
  Event handshake_done_;
  std::optional<Error> failure_;

  // What was agreed on.
  HandshakeOptions asked_;
  bool header_digest_ = false;
  bool data_digest_ = false;
  std::uint32_t alignment_ = 4;  // of data in PDUs to the controller
  std::uint32_t max_h2c_data_ = 0;

  std::vector<Slot> slots_;
  std::uint16_t free_head_ = 0;
  std::uint32_t in_use_ = 0;
  std::uint16_t index_mask_ = 0;
  std::uint64_t next_sequence_ = 0;
  std::size_t completions_ = 0;
};

}  // namespace spdkio::nvme::tcp
