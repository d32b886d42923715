// Qpair: a Thread's way to a controller.
#pragma once

#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/nvme/operation.hpp>
#include <spdkio/nvme/options.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/spec/command.hpp>
#include <spdkio/spec/completion.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace spdkio::nvme {

class ControllerCore;
class QueueState;

/// Buffers of a queue pair's Thread, kept for the next use: taking and giving back allocates nothing once there are as
/// many of a size as are used at once.
class BufferCache {
 public:
  /// A DmaBuf that goes back into the cache; on the cache's Thread, before the Qpair goes. Move-only.
  class [[nodiscard]] Buffer {
   public:
    Buffer() noexcept = default;
    Buffer(BufferCache& cache, DmaBuf buffer) noexcept : cache_(&cache), buffer_(std::move(buffer)) {}
    Buffer(Buffer&& other) noexcept : cache_(std::exchange(other.cache_, nullptr)), buffer_(std::move(other.buffer_)) {}
    Buffer& operator=(Buffer&& other) noexcept {
      std::swap(cache_, other.cache_);
      std::swap(buffer_, other.buffer_);
      return *this;
    }
    ~Buffer() {
      if (cache_ != nullptr && !buffer_.empty()) cache_->give_back(std::move(buffer_));
    }
    std::byte* data() const noexcept { return buffer_.data(); }
    std::size_t size() const noexcept { return buffer_.size(); }
    std::span<std::byte> bytes() const noexcept { return buffer_.bytes(); }
    std::byte& operator[](std::size_t index) const noexcept { return buffer_[index]; }
    void fill(std::byte value) const noexcept { buffer_.fill(value); }
    DmaSpan span() const noexcept { return buffer_.span(); }
    operator DmaSpan() const noexcept { return buffer_.span(); }

   private:
    BufferCache* cache_ = nullptr;
    DmaBuf buffer_;
  };

  /// `size` bytes, whatever the last user left in them. Throws Error(not_enough_memory).
  Buffer get(std::size_t size);

 private:
  static constexpr std::size_t most_per_size = 1024;
  void give_back(DmaBuf buffer) noexcept;
  std::map<std::size_t, std::vector<DmaBuf>> free_;
};

/// An I/O queue pair of the Thread that allocated it. It survives lost connections: while the controller is away its
/// requests wait. Move-only. `close` it, or let the destructor do so in the background. It must outlive the operations
/// that use it.
class Qpair {
 public:
  Qpair() noexcept = default;
  /// For Controller.
  Qpair(std::shared_ptr<ControllerCore> controller, std::shared_ptr<QueueState> queue);
  Qpair(Qpair&& other) noexcept;
  Qpair& operator=(Qpair&& other) noexcept;
  ~Qpair();

  /// Gives the queue back to the controller. On its Thread, with nothing in flight: requests that are still there end
  /// with operation_canceled. Throws Misuse::already_closed the second time.
  Task<> close();

  /// 1 to 65535.
  std::uint16_t id() const noexcept;
  /// Commands that are with the controller at once; further ones wait in order.
  std::uint32_t capacity() const noexcept;
  std::size_t in_flight() const noexcept;
  /// Requests that wait for room or for the connection.
  std::size_t waiting() const noexcept;
  /// False while the controller is away.
  bool connected() const noexcept;

  /// Looks for completions now; returns how many there were. On the queue pair's Thread. Needed only with
  /// `QpairOptions::poll` off.
  std::size_t process_completions() const;

  /// A command as it is, of whatever command set; CID and data pointer are filled in. Gives the completion, or throws
  /// Error with the status. Never repeated by the library. `direction` is what the opcode says unless given.
  Operation<spec::Completion> execute(const spec::Command& command, DmaSpan data = {}, DmaSpan metadata = {}) const;

  /// Buffers of this Thread for short use.
  BufferCache& buffers() const noexcept { return *buffers_; }

  QueueState* queue() const noexcept { return queue_.get(); }
  const std::shared_ptr<ControllerCore>& controller() const noexcept { return controller_; }

 private:
  void release() noexcept;
  std::shared_ptr<ControllerCore> controller_;
  std::shared_ptr<QueueState> queue_;
  std::unique_ptr<BufferCache> buffers_;
};

}  // namespace spdkio::nvme
