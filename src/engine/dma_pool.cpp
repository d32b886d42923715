#include <spdkio/engine/dma_pool.hpp>

#include "engine/pool_state.hpp"

namespace spdkio {
namespace detail {

void give_back(PoolState& pool, std::byte* data) noexcept { pool.give(data); }

PoolTake::~PoolTake() {
  if (data_ != nullptr) pool_->give(data_);
}

bool PoolTake::await_ready() noexcept {
  data_ = pool_->try_take();
  if (data_ == nullptr) return false;
  ThreadCore* const core = ThreadCore::current();
  return core == nullptr || core->take_inline_turn();
}

bool PoolTake::suspend(std::coroutine_handle<> waiting, PromiseBase* promise) {
  core_ = &ThreadCore::require_current("DmaPool::take");
  set_waiting(waiting, promise);
  if (data_ != nullptr) {  // it has one, but others should have a turn
    core_->make_ready(*this);
    return true;
  }
  StopState* stop = promise != nullptr ? promise->stop_state() : nullptr;
  if (stop != nullptr && stop->stop_requested()) {
    end_ = End::stopped;
    return false;
  }
  mailbox_ = core_->mailbox();
  keep_ = pool_->shared_from_this();
  if (stop != nullptr) stop->add(*this);
  if (promise != nullptr) promise->set_waiting_on("DmaPool::take");
  pool_->wait(*this);
  return true;
}

PooledBuf PoolTake::await_resume() {
  if (data_ != nullptr) return pool_->wrap(std::exchange(data_, nullptr));
  const bool stopped = end_ == End::stopped;
  throw Error(std::errc::operation_canceled, stopped ? "stopped while waiting" : "the pool was destroyed meanwhile")
      .with_operation("DmaPool::take")
      .with_outcome(Outcome::never_submitted);
}

bool PoolTake::deliver() noexcept {
  const ThreadCore* current = ThreadCore::current();
  if (current != nullptr && current->mailbox() == mailbox_) {
    finish();
    return true;
  }
  const auto mailbox = mailbox_;  // the waiter may be gone before push returns
  return mailbox->push(*this);
}

void PoolTake::finish() noexcept {
  unlink();
  core_->make_ready(*this);
  keep_.reset();
}

void PoolTake::abandon() noexcept {
  if (std::byte* data = std::exchange(data_, nullptr)) keep_->give(data);
}

void PoolTake::on_stop(StopNode& node) noexcept {
  auto& self = static_cast<PoolTake&>(node);
  if (!self.keep_->cancel(self)) return;
  self.end_ = End::stopped;
  self.finish();
}

}  // namespace detail

DmaPool::DmaPool(DmaPoolOptions options) : state_(detail::PoolState::create(std::move(options))) {}

DmaPool::~DmaPool() {
  if (state_ != nullptr) state_->close();
}

PooledBuf DmaPool::try_take() noexcept {
  std::byte* data = state_->try_take();
  return data == nullptr ? PooledBuf{} : state_->wrap(data);
}

std::size_t DmaPool::buf_size() const noexcept { return state_->options().buf_size; }
std::size_t DmaPool::count() const noexcept { return state_->options().count; }
const std::string& DmaPool::name() const noexcept { return state_->options().name; }
DmaPoolStats DmaPool::stats() const { return state_->stats(); }

}  // namespace spdkio
