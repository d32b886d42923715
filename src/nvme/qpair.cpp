#include <spdkio/nvme/qpair.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/runtime/thread.hpp>

#include <utility>

#include "nvme/controller_core.hpp"
#include "nvme/keeping.hpp"
#include "nvme/queue_state.hpp"

namespace spdkio::nvme {

BufferCache::Buffer BufferCache::get(std::size_t size) {
  auto& free = free_[size];
  if (free.empty()) {
    if (free.capacity() == 0) free.reserve(most_per_size);
    DmaBufOptions options;
    options.zeroed = false;
    return Buffer(*this, DmaBuf(size, options));
  }
  Buffer buffer(*this, std::move(free.back()));
  free.pop_back();
  return buffer;
}

void BufferCache::give_back(DmaBuf buffer) noexcept {
  const auto found = free_.find(buffer.size());
  if (found == free_.end() || found->second.size() >= found->second.capacity()) return;
  found->second.push_back(std::move(buffer));
}

Qpair::Qpair(std::shared_ptr<ControllerCore> controller, std::shared_ptr<QueueState> queue)
    : controller_(std::move(controller)), queue_(std::move(queue)), buffers_(std::make_unique<BufferCache>()) {}

Qpair::Qpair(Qpair&& other) noexcept = default;

Qpair& Qpair::operator=(Qpair&& other) noexcept {
  std::swap(controller_, other.controller_);
  std::swap(queue_, other.queue_);
  std::swap(buffers_, other.buffers_);
  return *this;
}

Qpair::~Qpair() { release(); }

void Qpair::release() noexcept {
  if (queue_ == nullptr) return;
  auto controller = std::exchange(controller_, nullptr);
  auto queue = std::exchange(queue_, nullptr);
  const ThreadHandle thread = queue->thread();
  if (thread.state() == ThreadState::exited) {
    log::error("{}: queue pair {} outlived its thread '{}'", queue->settings().device, queue->qid(), thread.name());
    return;
  }
  try {
    thread.spawn(keeping(controller, controller->close_queue(queue)), "nvme close queue pair").detach();
  } catch (...) {
    log::error("{}: queue pair {} was not closed: {}", queue->settings().device, queue->qid(),
               Error::from_current_exception().what());
  }
}

Task<> Qpair::close() {
  if (queue_ == nullptr) {
    throw Error(Misuse::already_closed, "the queue pair was closed before").with_operation("Qpair::close");
  }
  if (!queue_->thread().is_current()) {
    throw Error(Misuse::wrong_thread, "it belongs to thread '" + queue_->thread().name() + "'")
        .with_operation("Qpair::close");
  }
  const auto controller = std::exchange(controller_, nullptr);
  auto queue = std::exchange(queue_, nullptr);
  auto closing = controller->close_queue(std::move(queue));
  co_await std::move(closing);
}

std::uint16_t Qpair::id() const noexcept { return queue_ != nullptr ? queue_->qid() : 0; }
std::uint32_t Qpair::capacity() const noexcept { return queue_ != nullptr ? queue_->capacity() : 0; }
std::size_t Qpair::in_flight() const noexcept { return queue_ != nullptr ? queue_->in_flight() : 0; }
std::size_t Qpair::waiting() const noexcept { return queue_ != nullptr ? queue_->waiting() : 0; }
bool Qpair::connected() const noexcept { return queue_ != nullptr && queue_->connected(); }

std::size_t Qpair::process_completions() const {
  if (queue_ == nullptr) {
    throw Error(Misuse::already_closed, "the queue pair was closed").with_operation("process_completions");
  }
  if (!queue_->thread().is_current()) {
    throw Error(Misuse::wrong_thread, "it belongs to thread '" + queue_->thread().name() + "'")
        .with_operation("process_completions");
  }
  return queue_->process_completions();
}

Operation<spec::Completion> Qpair::execute(const spec::Command& command, DmaSpan data, DmaSpan metadata) const {
  Operation<spec::Completion> operation(queue_.get(), "nvme_io");
  operation.command = command;
  operation.metadata = metadata;
  if (!data.empty()) operation.set_data(data, spec::data_transfer_of(command.opcode));
  return operation;
}

}  // namespace spdkio::nvme
