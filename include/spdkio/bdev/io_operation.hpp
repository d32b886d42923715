// IoOperation: an I/O that is awaited. The awaiter is the request is the queue node: it lives in the caller's frame.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/bdev/desc_state.hpp>
#include <spdkio/bdev/io.hpp>
#include <spdkio/runtime/promise.hpp>

#include <bit>
#include <coroutine>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

namespace spdkio {

class BdevDesc;
template <class T = void>
class IoOperation;

struct IoOptions {
  DmaSpan metadata{};  ///< separate metadata, `metadata_size` bytes per block; empty: none is transferred
  bool fua = false;    ///< write: durable when it completes, whatever cache the device has
};

/// The default, as an object: g++ 12 would make it anew in the frame of the coroutine for every I/O, at a third of what
/// the whole I/O costs.
inline constexpr IoOptions no_io_options{};

namespace bdev {

/// The part of an operation that does not depend on its result.
class IoOperationBase : protected Io, private detail::ReadyNode, private detail::StopNode {
 public:
  IoOperationBase(const IoOperationBase& other) noexcept;
  IoOperationBase& operator=(const IoOperationBase&) = delete;
  ~IoOperationBase() {
    if (state_ == State::in_flight) [[unlikely]]
      destroyed_in_flight();
  }

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiting) noexcept {
    // Inline, because most of it is known where the operation was made, and costs nothing there.
    detail::PromiseBase* const promise = detail::promise_of(waiting);
    set_waiting(waiting, promise);
    if (iov == nullptr && iov_count == 1) iov = &single_;
    if (!status().ok()) [[unlikely]]
      return false;
    if (promise == nullptr) return start(nullptr);
    promise->set_waiting_on(io_type_names[static_cast<std::size_t>(type)].data());
    return start(promise->stop_state());
  }

 protected:
  IoOperationBase(DescState& desc, ChannelSlot* slot, IoType type) noexcept
      : detail::StopNode(on_stop), desc_(&desc), target_(slot) {
    this->type = type;
  }
  void set_buffers(DmaSpan buffer) noexcept {
    single_ = buffer;
    iov_count = 1;
    data_bytes_ = buffer.size();
  }
  void set_buffers(DmaSpans buffers) noexcept {
    iov = buffers.data();
    iov_count = static_cast<std::uint32_t>(buffers.size());
    data_bytes_ = 0;
    for (const DmaSpan& buffer : buffers) data_bytes_ += buffer.size();
  }
  void set_where(LbaRange range) noexcept {
    lba = range.first.value;
    blocks = range.count.value;
  }
  void set_where(ByteRange range) noexcept {
    const std::uint64_t block_size = desc_->device().geometry().block_size;
    const std::uint64_t first = range.first.value;
    const std::uint64_t bytes = range.count.value;
    if (std::has_single_bit(block_size)) [[likely]] {
      const int shift = std::countr_zero(block_size);
      lba = first >> shift;
      blocks = bytes >> shift;
      if (((first | bytes) & (block_size - 1)) == 0) return;
    } else {
      lba = first / block_size;
      blocks = bytes / block_size;
      if (first % block_size == 0 && bytes % block_size == 0) return;
    }
    set_status(IoStatus::misuse(Misuse::misaligned));
  }
  /// As many bytes as the buffers have.
  void set_where(ByteOffset offset) noexcept { set_where(ByteRange{offset, ByteCount{data_bytes_}}); }
  void set_options(const IoOptions& options) noexcept {
    metadata = options.metadata;
    fua = options.fua;
    if (!metadata.empty()) [[unlikely]]
      check_metadata();
  }
  /// Of the same length as what is compared.
  void set_write_buffers(DmaSpans data) noexcept;
  void set_source(LbaRange range) noexcept;
  void set_zones(std::span<ZoneInfo> zones_out) noexcept {
    zones = zones_out.data();
    zone_count = static_cast<std::uint32_t>(zones_out.size());
  }
  /// For requests that name a zone: as many blocks as the buffers have, or a length that the check refuses.
  void set_zone(Lba first) noexcept {
    set_where(LbaRange{first, BlockCount{data_bytes_ / desc_->device().geometry().block_size}});
  }
  void set_zone_action(ZoneAction action) noexcept { zone_action = action; }
  void set_command(const NvmeCommand& nvme_command) noexcept { command = &nvme_command; }
  Error error() const;

 private:
  template <class T>
  friend class spdkio::IoOperation;
  enum class State : std::uint8_t { fresh, submitting, in_flight, done };

  [[gnu::noinline]] bool start(detail::StopState* stop) noexcept {
    IoStatus refusal = desc_->check(target_, type);
    if (refusal.ok()) [[likely]]
      refusal = target_->check(*this, data_bytes_);
    if (stop != nullptr && stop->stop_requested() && refusal.ok()) [[unlikely]]
      refusal = IoStatus::cancelled(Outcome::never_submitted);
    if (!refusal.ok()) [[unlikely]] {
      set_status(refusal);
      return false;
    }
    state_ = State::submitting;
    set_on_complete(on_complete);
    target_->submit(*this);
    if (state_ == State::done) {
      if (target_->core().take_inline_turn()) return false;
      target_->core().make_ready(*this);
      return true;
    }
    state_ = State::in_flight;
    if (stop != nullptr) stop->add(*this);
    return true;
  }
  static void on_complete(Io& io) noexcept {
    auto& self = static_cast<IoOperationBase&>(io);
    if (self.state_ == State::submitting) {
      self.state_ = State::done;
      return;
    }
    self.state_ = State::done;
    self.unlink();
    self.target_->core().make_ready(self);
  }
  static void on_stop(detail::StopNode& node) noexcept {
    auto& self = static_cast<IoOperationBase&>(node);
    self.target_->abort(self);
  }
  bool succeeded() const noexcept { return status().ok(); }
  void check_metadata() noexcept;
  std::uint64_t metadata_bytes() const noexcept;
  void destroyed_in_flight() const noexcept;

  DescState* desc_;
  ChannelSlot* target_;
  DmaSpan single_;  ///< the data, if `iov` is null and `iov_count` 1
  std::uint64_t data_bytes_ = 0;
  State state_ = State::fresh;
};

}  // namespace bdev

/// What the functions of BdevDesc return: `co_await` it on the channel's Thread, once. It is checked and submitted when
/// it is awaited, ends when the device has answered, and gives its result or throws Error; with `as_result`, without a
/// throw.
///
/// A stop request before the submission ends it with operation_canceled, Outcome::never_submitted. Afterwards the
/// device is asked to abort and the real end is awaited: Outcome::aborted if it did, the normal result if it did not.
/// Descriptor, channel and buffers must stay until it has ended.
template <class T>
class [[nodiscard("an operation does nothing until it is awaited")]] IoOperation : public bdev::IoOperationBase {
 public:
  T await_resume() {
    if (!succeeded()) [[unlikely]]
      throw error();
    return value();
  }
  /// For `as_result`.
  Result<T> resume_result() {
    if (!succeeded()) [[unlikely]]
      return std::unexpected(error());
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return value();
    }
  }

 private:
  friend class spdkio::BdevDesc;
  using IoOperationBase::IoOperationBase;
  T value() const noexcept {
    if constexpr (std::is_same_v<T, Lba>) {
      return Lba{result};
    } else if constexpr (std::is_same_v<T, std::optional<Lba>>) {
      return result == UINT64_MAX ? std::optional<Lba>{} : Lba{result};
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(result);
    }
  }
};

}  // namespace spdkio
