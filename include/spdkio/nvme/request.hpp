// Request: one NVMe command on its way through a queue pair. It lives in the frame of whoever waits for it and is the
// node of every queue that it stands in, so that nothing is allocated on the way.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/engine/dma_span.hpp>
#include <spdkio/spec/command.hpp>
#include <spdkio/spec/completion.hpp>

#include <cstdint>

namespace spdkio::nvme {

class QueueState;

/// How a request ended, beside what the controller answered.
enum class RequestEnd : std::uint8_t {
  answered,  ///< `completion` is what the controller said, success or not
  lost,      ///< there will be no answer: the connection or the device went away, or it was taken back
  refused,   ///< the transport can't carry it; `errno_value` says why, and nothing was sent
};

class Request {
 public:
  /// Called once, on the Thread of the queue pair, maybe inside the submit. The request may be gone afterwards.
  using OnComplete = void (*)(Request&) noexcept;

  Request() noexcept = default;
  /// Only before it was submitted.
  Request(const Request&) = default;
  Request& operator=(const Request&) = delete;

  // ---- what is asked; set before the submit
  /// All but CID, PSDT and the data pointer, which are the transport's to fill in.
  spec::Command command;
  /// The data is `data_bytes` bytes from byte `data_offset` of the scatter list. List and memory stay until the end.
  const DmaSpan* iov = nullptr;
  std::uint32_t iov_count = 0;
  std::uint32_t data_bytes = 0;
  std::uint64_t data_offset = 0;
  DmaSpan metadata;  ///< separate metadata, or empty
  spec::DataTransfer direction = spec::DataTransfer::none;
  /// Executing it twice is as good as once: it is sent again when the connection was lost under it.
  bool repeatable = false;
  /// False for commands that stay with the controller for as long as it likes.
  bool timed = true;

  // ---- for the transport queue that has it
  std::uint16_t cid = 0;  ///< of the slot it has there
  /// Link for the queue of whoever holds the request.
  Request* next = nullptr;

  // ---- what is answered
  spec::Completion completion;
  RequestEnd end = RequestEnd::answered;
  /// lost: never_submitted when no byte of it was handed to the controller, otherwise may_have_executed.
  Outcome outcome = Outcome::failed;
  int errno_value = 0;

  /// The controller's answer. The last thing that a transport does with a request.
  void complete(const spec::Completion& answer) noexcept {
    completion = answer;
    end = RequestEnd::answered;
    outcome = Outcome::failed;
    on_complete_(*this);
  }
  void lose(Outcome how) noexcept {
    end = RequestEnd::lost;
    outcome = how;
    on_complete_(*this);
  }
  /// `errno_value` is positive.
  void refuse(int errno_value_in) noexcept {
    end = RequestEnd::refused;
    outcome = Outcome::never_submitted;
    errno_value = errno_value_in;
    on_complete_(*this);
  }
  /// For whoever holds it before any queue did: it ends as one that was never submitted.
  void end_unsent() noexcept {
    end = RequestEnd::lost;
    outcome = Outcome::never_submitted;
    on_end_(*this);
  }
  bool succeeded() const noexcept { return end == RequestEnd::answered && completion.ok(); }

  /// For whoever hands it to a transport queue; `set_on_end` is for whoever hands it to a QueueState.
  void set_on_complete(OnComplete on_complete) noexcept { on_complete_ = on_complete; }
  void set_on_end(OnComplete on_end) noexcept { on_end_ = on_end; }

 private:
  friend class QueueState;
  OnComplete on_complete_ = nullptr;  // the queue's
  OnComplete on_end_ = nullptr;       // the submitter's
  QueueState* queue_ = nullptr;
  // What the queue keeps while the transport has it.
  std::uint64_t submitted_ticks_ = 0;
  Request* older_ = nullptr;
  Request* newer_ = nullptr;
  std::uint32_t attempts_ = 0;
  bool in_flight_ = false;
  bool cancelled_ = false;  // the submitter asked for its end
  bool overdue_ = false;    // an abort was asked for because it took too long
};

}  // namespace spdkio::nvme
