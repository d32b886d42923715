#include "nvmf/poll_group.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <algorithm>
#include <utility>

#include "nvmf/target_state.hpp"

namespace spdkio::nvmf {
namespace {

/// How often timeouts are looked for.
constexpr std::chrono::milliseconds housekeeping_period{250};

}  // namespace

PollGroup::PollGroup(TargetState& target, std::string name, std::optional<Thread> thread)
    : target_(target),
      name_(std::move(name)),
      owned_thread_(std::move(thread)),
      handle_(owned_thread_ ? owned_thread_->handle() : CurrentThread::handle()) {
  stats_.name = name_;
  destroy_retired_.group = this;
  destroy_retired_.run = [](detail::Deferred& work) noexcept {
    return static_cast<DestroyRetired&>(work).group->destroy_retired();
  };
}

std::shared_ptr<TargetState> PollGroup::target() const { return target_.shared_from_this(); }

Task<> PollGroup::open() {
  auto on_thread = [this] {
    sockets_ = nvme::tcp::SocketGroup::current();
    housekeeping_.emplace(
        [this] {
          housekeeping();
          return PollResult::idle;
        },
        PollerOptions{.name = "nvmf_housekeeping", .period = housekeeping_period});
    housekeeping_->pause();
  };
  co_await handle_.call(on_thread);
}

Task<> PollGroup::close() {
  auto on_thread = [this] { return close_connections(); };
  co_await handle_.call(on_thread);
  if (owned_thread_) co_await owned_thread_->exit();
}

Task<> PollGroup::close_connections() {
  closing_ = true;
  close_queues([](const Queue&) { return true; }, "the target ends");
  while (!queues_.empty() || !retired_.empty()) {
    queue_gone_.reset();
    co_await queue_gone_.wait();
  }
  views_.clear();
  housekeeping_.reset();
  sockets_.reset();
  buffers_.reset();
}

void PollGroup::set_transport(const TransportSettings& settings) {
  buffers_ = std::make_unique<BufferCache>(settings.max_io_size, settings.buffer_bytes);
  transport_ = settings;
}

void PollGroup::adopt(std::unique_ptr<Queue> queue) {
  queues_.push_back(std::move(queue));
  if (queues_.size() == 1) housekeeping_->resume();
  if (closing_) queues_.back()->close("the target ends");
}

Queue* PollGroup::find(std::uint64_t id) const noexcept {
  const auto found = std::ranges::find_if(queues_, [id](const auto& queue) { return queue->id() == id; });
  return found == queues_.end() ? nullptr : found->get();
}

void PollGroup::retire(Queue& queue) noexcept {
  const auto found = std::ranges::find_if(queues_, [&](const auto& each) { return each.get() == &queue; });
  if (found == queues_.end()) return;
  closed_commands_ += queue.counters().commands;
  retired_.push_back(std::move(*found));
  queues_.erase(found);
  if (queues_.empty()) housekeeping_->pause();
  detail::ThreadCore::current()->defer(destroy_retired_);
}

void PollGroup::connection_lost() noexcept {
  --connection_count;
  target_.connection_closed();
}

std::size_t PollGroup::destroy_retired() noexcept {
  const std::size_t count = retired_.size();
  retired_.clear();
  for (std::size_t i = 0; i < count; ++i) connection_lost();
  queue_gone_.set();
  return count;
}

PollGroupStats PollGroup::stats() const {
  PollGroupStats stats = stats_;
  stats.completed_nvme_io = closed_commands_;
  for (const auto& queue : queues_) stats.completed_nvme_io += queue->counters().commands - queue->in_flight();
  if (buffers_ != nullptr) {
    stats.buffer_waits = buffers_->waits();
    stats.buffer_bytes = buffers_->reserved_bytes();
  }
  return stats;
}

std::vector<ConnectionStats> PollGroup::connections() const {
  std::vector<ConnectionStats> all;
  for (const auto& queue : queues_) all.push_back(queue->stats());
  return all;
}

SubsystemView* PollGroup::view(const std::string& nqn) const noexcept {
  const auto found = views_.find(nqn);
  return found == views_.end() ? nullptr : found->second.get();
}

void PollGroup::add_view(std::unique_ptr<SubsystemView> view) {
  std::string nqn = view->nqn();
  views_[std::move(nqn)] = std::move(view);
}

Task<> PollGroup::remove_view(const std::string& nqn) {
  const auto found = views_.find(nqn);
  if (found == views_.end()) co_return;
  const std::unique_ptr<SubsystemView> view = std::move(found->second);
  views_.erase(found);  // no further queue attaches
  close_queues([&view](const Queue& queue) { return queue.view() == view.get(); }, "the subsystem was stopped");
  while (view->queues != 0) {
    queue_gone_.reset();
    co_await queue_gone_.wait();
  }
}

void PollGroup::close_queues(const std::function<bool(const Queue&)>& which, std::string_view why) {
  std::vector<Queue*> chosen;
  for (const auto& queue : queues_) {
    if (which(*queue)) chosen.push_back(queue.get());
  }
  // One that closes at once is only retired, so that the others stay where they are.
  for (Queue* const queue : chosen) queue->close(why);
}

void PollGroup::housekeeping() {
  const std::uint64_t now = detail::ThreadCore::current()->batch_ticks();
  // From the end: one that is closed takes itself out.
  for (std::size_t i = queues_.size(); i-- > 0;) {
    if (i < queues_.size()) queues_[i]->housekeeping(now);
  }
}

}  // namespace spdkio::nvmf
