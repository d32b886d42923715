// NvmeChannel: a namespace as one Thread reaches it.
#pragma once

#include <spdkio/base/intrusive_queue.hpp>
#include <spdkio/bdev/channel.hpp>
#include <spdkio/bdev/io.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/nvme/namespace.hpp>
#include <spdkio/nvme/request.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstdint>
#include <memory>
#include <vector>

#include "bdev_modules/nvme/thread_queue.hpp"

namespace spdkio::bdev::nvme_disk {

class NvmeChannel final : public Channel {
 public:
  NvmeChannel(std::shared_ptr<ThreadQueue> queue, std::shared_ptr<nvme::NamespaceState> space, bool write_cache);
  ~NvmeChannel() override;

  void submit(Io& io) noexcept override;
  void abort(Io& io) noexcept override;
  void device_removed() noexcept override;

 private:
  struct Child;
  struct ChildRequest : nvme::Request {
    Child* child = nullptr;
  };
  /// What a request of the block layer is while the controller has it: one command at a time, or a fused pair.
  struct Child {
    NvmeChannel* channel = nullptr;
    Io* io = nullptr;
    ChildRequest request;
    ChildRequest second;
    std::uint64_t done = 0;   // blocks that are done or under way
    std::uint32_t piece = 0;  // most blocks of one command
    std::uint8_t pending = 0;
    bool stop_wanted = false;
    DmaBuf small_buffer;  // the list of Dataset Management and Copy
    DmaSpan list;
    Child* next = nullptr;  // in the list of free ones
    Child* older = nullptr;
    Child* newer = nullptr;
  };

  Child* take(Io& io) noexcept;
  void give_back(Child& child) noexcept;
  void prepare(Child& child, std::uint8_t opcode, std::uint32_t flags, std::uint32_t piece) noexcept;
  void start_piece(Child& child) noexcept;
  bool fill_list(Child& child, std::uint64_t count) noexcept;
  void submit_pair(Child& child) noexcept;
  void submit_raw(Child& child) noexcept;
  void spawn(Io& io, Task<> (*make)(std::shared_ptr<nvme::ControllerCore>, Io&)) noexcept;
  static void on_end(nvme::Request& request) noexcept;
  void ended(Child& child) noexcept;
  IoStatus status_of(const Child& child, const nvme::Request& request) const;

  std::shared_ptr<ThreadQueue> queue_;
  std::shared_ptr<nvme::NamespaceState> space_;
  const bool write_cache_;
  std::vector<std::unique_ptr<Child>> children_;
  Child* free_ = nullptr;
  Child* oldest_ = nullptr;  // of those in flight
  Child* newest_ = nullptr;
};

}  // namespace spdkio::bdev::nvme_disk
