#include <spdkio/runtime/thread_core.hpp>

namespace spdkio::detail {

namespace {
bool fires_before(const TimerNode& a, const TimerNode& b) noexcept {
  return a.deadline_ticks != b.deadline_ticks ? a.deadline_ticks < b.deadline_ticks : a.order < b.order;
}
}  // namespace

void TimerHeap::place(std::size_t index, TimerNode& node) noexcept {
  heap_[index] = &node;
  node.heap_index = index;
}

void TimerHeap::sift_up(std::size_t index) noexcept {
  TimerNode& node = *heap_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (!fires_before(node, *heap_[parent])) break;
    place(index, *heap_[parent]);
    index = parent;
  }
  place(index, node);
}

void TimerHeap::sift_down(std::size_t index) noexcept {
  TimerNode& node = *heap_[index];
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && fires_before(*heap_[child + 1], *heap_[child])) ++child;
    if (!fires_before(*heap_[child], node)) break;
    place(index, *heap_[child]);
    index = child;
  }
  place(index, node);
}

void TimerHeap::push(TimerNode& node) {
  heap_.push_back(&node);
  node.order = next_order_++;
  node.heap_index = heap_.size() - 1;
  sift_up(node.heap_index);
}

void TimerHeap::remove(TimerNode& node) noexcept {
  if (!node.queued()) return;
  const std::size_t index = node.heap_index;
  node.heap_index = TimerNode::not_queued;
  TimerNode* last = heap_.back();
  heap_.pop_back();
  if (last == &node) return;
  place(index, *last);
  sift_up(index);
  sift_down(last->heap_index);
}

std::size_t TimerHeap::run_due(std::uint64_t now_ticks) noexcept {
  std::size_t count = 0;
  while (!heap_.empty() && heap_.front()->deadline_ticks <= now_ticks) {
    TimerNode& node = *heap_.front();
    remove(node);
    node.fire(node);
    ++count;
  }
  return count;
}

}  // namespace spdkio::detail
