// Connection: a TCP connection of a host, which is one queue.
#pragma once

#include <spdkio/base/unique_fd.hpp>
#include <spdkio/runtime/thread_core.hpp>
#include <spdkio/spec/tcp_pdu.hpp>

#include <bitset>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nvme/tcp/pdu_reader.hpp"
#include "nvme/tcp/send_queue.hpp"
#include "nvme/tcp/socket_group.hpp"
#include "nvmf/queue.hpp"

namespace spdkio::nvmf::tcp {

class Connection final : public Queue, public nvme::tcp::PolledSocket, private nvme::tcp::PduHandler {
 public:
  /// Takes over what a listener accepted, on the group's thread.
  static void adopt(PollGroup& group, UniqueFd fd, nvme::TransportId listener) noexcept;

  Connection(PollGroup& group, UniqueFd fd, nvme::TransportId listener);
  ~Connection() override;

  void close(std::string_view why) noexcept override;
  ConnectionStats stats() const override;
  std::string peer() const override { return peer_; }
  std::string local_address() const override { return local_address_; }
  const nvme::TransportId& listener() const noexcept override { return listener_; }
  const std::vector<Request*>& requests() const noexcept override { return requests_; }
  void housekeeping(std::uint64_t now_ticks) noexcept override;

 private:
  enum class State : std::uint8_t {
    handshake,
    open,
    terminating,  ///< a C2HTermReq was sent; what the host still sends is dropped until it closes
    closed
  };
  struct FlushLater : spdkio::detail::Deferred {
    Connection* connection = nullptr;
  };
  struct CapsuleWaiter : BufferWaiter {
    Connection* connection = nullptr;
  };

  // Of the socket.
  bool on_poll() noexcept override;
  void on_writable() noexcept override { flush(); }
  void on_hang_up() noexcept override { close("the host has closed the connection"); }
  bool drop_input() noexcept;
  void after_receive(nvme::tcp::ReceiveStatus status) noexcept;
  void flush() noexcept;
  void flush_soon() noexcept {
    if (!batching_) spdkio::detail::ThreadCore::current()->defer(flush_later_);
  }

  // Of the reader.
  nvme::tcp::Accept pdu_announced(const spec::tcp::CommonHeader& header, std::uint32_t data_bytes,
                                  nvme::tcp::DataTarget& target) noexcept override;
  bool pdu_complete(const spec::tcp::CommonHeader& header, bool data_digest_right) noexcept override;
  void protocol_violated(spec::tcp::Violation violation, std::span<const std::byte> header) noexcept override;
  nvme::tcp::Accept capsule_announced(const spec::tcp::CapsuleCmd& capsule, std::uint32_t data_bytes,
                                      nvme::tcp::DataTarget& target) noexcept;
  nvme::tcp::Accept data_announced(const spec::tcp::DataPdu& pdu, std::uint32_t data_bytes,
                                   nvme::tcp::DataTarget& target) noexcept;
  bool handshake(const spec::tcp::IcReq& request) noexcept;
  nvme::tcp::Accept violate(spec::tcp::FatalError error, std::uint32_t information,
                            const spec::tcp::CommonHeader& header) noexcept;

  // Of the queue.
  bool closing() const noexcept override { return state_ == State::terminating || state_ == State::closed; }
  void send_response(Request& request) noexcept override;
  void ask_for_data(Request& request) noexcept override;
  void request_dropped(Request& request) noexcept override { free_request(request); }
  void on_connected(std::uint32_t entries) override;

  template <class T>
  std::byte* add_header(const T& header) noexcept;
  void send_data(Request& request) noexcept;
  void send_completion(const Request& request) noexcept;
  static void data_sent(nvme::tcp::SentNotice& notice) noexcept;
  void add_requests(std::size_t count);
  Request* take_request() noexcept;
  void free_request(Request& request) noexcept;
  void abandon_requests(bool also_responding) noexcept;
  void end_if_idle() noexcept;

  UniqueFd fd_;
  const nvme::TransportId listener_;
  const std::string peer_;
  const std::string local_address_;
  State state_ = State::handshake;
  bool batching_ = false;
  bool wants_write_ = false;
  bool header_digest_ = false;
  bool data_digest_ = false;
  bool retired_ = false;
  std::uint32_t host_alignment_ = 4;
  std::uint64_t deadline_ticks_;  // for Connect, or for the host to close
  nvme::tcp::PduReader reader_;
  nvme::tcp::SendQueue sends_;
  FlushLater flush_later_;
  CapsuleWaiter capsule_waiter_;

  std::vector<std::unique_ptr<Request[]>> request_blocks_;
  std::vector<Request*> requests_;
  Request* free_ = nullptr;
  Request* capsule_ = nullptr;  // whose capsule is being received
  std::unique_ptr<std::bitset<65536>> cids_;
};

}  // namespace spdkio::nvmf::tcp
