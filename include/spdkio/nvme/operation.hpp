// Operation: an NVMe command that is awaited. The awaiter is the request: it lives in the caller's frame.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/base/units.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/engine/dma_span.hpp>
#include <spdkio/nvme/request.hpp>
#include <spdkio/runtime/promise.hpp>

#include <coroutine>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace spdkio::nvme {

class Namespace;
class QueueState;
class ControllerCore;

/// The part of an operation that does not depend on its result.
class OperationBase : protected Request, private spdkio::detail::ReadyNode, private spdkio::detail::StopNode {
 public:
  OperationBase(const OperationBase& other) noexcept;
  OperationBase& operator=(const OperationBase&) = delete;
  ~OperationBase() {
    if (state_ == State::in_flight) [[unlikely]]
      destroyed_in_flight();
  }

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiting) noexcept {
    return start(waiting, spdkio::detail::promise_of(waiting));
  }

 protected:
  friend class Namespace;
  friend class ControllerCore;
  /// `name` is a literal. A null queue is one that was closed.
  OperationBase(QueueState* queue, const char* name) noexcept
      : spdkio::detail::StopNode(on_stop), target_(queue), name_(name) {}

  void set_data(DmaSpan data, spec::DataTransfer way) noexcept {
    single_ = data;
    has_single_ = true;
    direction = way;
    total_bytes_ = data.size();
  }
  void set_data(DmaSpans data, spec::DataTransfer way) noexcept;
  /// A command over `range`, cut into pieces of at most `piece_blocks`; `block_bytes` of data go with each block, or 0.
  void set_range(LbaRange range, std::uint32_t piece_blocks, std::uint32_t block_bytes,
                 std::uint32_t metadata_bytes) noexcept;
  /// Dataset Management commands that deallocate the range, each at most `piece_blocks` of it.
  void set_deallocate(LbaRange range, std::uint32_t piece_blocks) noexcept {
    range_ = range;
    piece_blocks_ = piece_blocks;
    needs_small_buffer_ = true;
  }
  /// It will not be submitted: the first reason counts.
  void refuse_early(Misuse why) noexcept {
    if (early_ == Misuse{}) early_ = why;
  }
  bool ended_well() const noexcept { return early_ == Misuse{} && !stopped_early_ && succeeded() && blocks_left_ == 0; }
  Error error() const;

 private:
  enum class State : std::uint8_t { fresh, submitting, in_flight, done };

  bool start(std::coroutine_handle<> waiting, spdkio::detail::PromiseBase* promise) noexcept;
  bool prepare() noexcept;
  void next_piece() noexcept;
  static void on_end(Request& request) noexcept;
  static void on_stop(spdkio::detail::StopNode& node) noexcept;
  void destroyed_in_flight() const noexcept;

  QueueState* target_;
  const char* name_;
  DmaSpan single_;
  std::uint64_t total_bytes_ = 0;
  LbaRange range_;                  // the whole of it, for errors
  std::uint64_t blocks_left_ = 0;   // behind the piece that is under way
  std::uint32_t piece_blocks_ = 0;  // 0: it is not cut
  std::uint32_t block_bytes_ = 0;
  std::uint32_t metadata_bytes_ = 0;  // per block, in a separate buffer
  DmaSpan all_metadata_;
  DmaBuf small_buffer_;
  Misuse early_{};  // why it was not submitted
  bool has_single_ = false;
  bool needs_small_buffer_ = false;
  bool stop_requested_ = false;
  bool stopped_early_ = false;
  State state_ = State::fresh;
};

/// What the functions of Namespace and Qpair return: `co_await` it on the queue pair's Thread, once. It is checked and
/// submitted when it is awaited, ends when the controller has answered, and gives its result or throws Error; with
/// `as_result`, without a throw. Error::nvme_status() is what the controller said.
///
/// More than the controller takes in one command is sent as several, one after the other. When the connection is lost,
/// commands that may be repeated (read, write, flush, write zeroes, deallocate, compare, verify) wait for the
/// controller to come back and are sent again; others end with ENOTCONN and Outcome::may_have_executed.
///
/// A stop request before the submission ends it with operation_canceled, Outcome::never_submitted. Afterwards the
/// controller is asked to abort the command and the real end is awaited: operation_canceled and Outcome::aborted if it
/// did, the normal result if it did not. Queue pair, buffers and scatter list must stay until it has ended.
template <class T = void>
class [[nodiscard("an operation does nothing until it is awaited")]] Operation : public OperationBase {
 public:
  T await_resume() {
    if (!ended_well()) [[unlikely]]
      throw error();
    return value();
  }
  /// For `as_result`.
  Result<T> resume_result() {
    if (!ended_well()) [[unlikely]]
      return std::unexpected(error());
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return value();
    }
  }

 private:
  friend class Namespace;
  friend class Qpair;
  friend class ControllerCore;
  using OperationBase::OperationBase;
  T value() const noexcept {
    if constexpr (std::is_same_v<T, spec::Completion>) return completion;
  }
};

}  // namespace spdkio::nvme
