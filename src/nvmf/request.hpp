// Request: a command of a host from its capsule to its response. Made with its queue, used again and again; it is the
// bdev request, the waiter for a buffer, and the notice that its data was sent.
#pragma once

#include <spdkio/bdev/io.hpp>
#include <spdkio/engine/dma_span.hpp>
#include <spdkio/spec/command.hpp>
#include <spdkio/spec/completion.hpp>

#include <array>
#include <cstdint>

#include "nvme/tcp/send_queue.hpp"
#include "nvmf/buffer_cache.hpp"

namespace spdkio::nvmf {

class Queue;
struct NamespaceView;

enum class Stage : std::uint8_t {
  free,
  receiving,   ///< the data of its capsule is on its way
  for_buffer,  ///< waits for memory
  transfer,    ///< the host was asked for the data
  ready,       ///< everything is there; it waits for its fused partner
  parked,      ///< the subsystem is paused
  executing,   ///< a device, or a task, has it
  responding   ///< its data is in the send queue
};

struct Request final : bdev::Io, nvme::tcp::SentNotice, BufferWaiter {
  spec::Command command;
  spec::Completion completion;
  Queue* queue = nullptr;
  std::uint16_t index = 0;  ///< in its queue; the transfer tag
  Stage stage = Stage::free;
  bool aborting = false;            ///< a device was asked to end it
  bool owns_cid = true;             ///< no other command in flight has its identifier
  std::uint8_t fused = 0;           ///< 1, 2: first, second of a pair that is executed as one
  Request* partner = nullptr;       ///< the other one
  Request* next_request = nullptr;  ///< in the list that its stage says
  NamespaceView* ns = nullptr;      ///< counted there while executing
  Buffer buffer;
  DmaSpan data;                          ///< the part of the buffer in use
  std::uint32_t host_to_controller = 0;  ///< bytes that the host sends
  std::uint32_t received = 0;            ///< of them
  std::uint32_t controller_to_host = 0;  ///< bytes that the host gets if it succeeds
  std::uint32_t pieces_left = 0;         ///< operations of the block layer that one command became
  std::uint32_t next_piece = 0;
  std::array<DmaSpan, 1> second_data{};  ///< compare-and-write: what is written
  NvmeStatus failure;                    ///< decided before it could be answered

  bool has_failure() const noexcept { return !failure.ok(); }
};

}  // namespace spdkio::nvmf
