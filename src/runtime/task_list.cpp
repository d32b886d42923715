#include <spdkio/runtime/task_list.hpp>

#include <spdkio/runtime/promise.hpp>

#include <fmt/format.h>

#include <iterator>

namespace spdkio {

std::string describe(const std::vector<RunningTask>& tasks) {
  std::string text;
  for (const auto& task : tasks) {
    if (!text.empty()) text += "; ";
    fmt::format_to(std::back_inserter(text), "{} ({}) waiting on {}", task.name.empty() ? "task" : task.name,
                   task.spawned_at, task.waiting_on);
  }
  return text;
}

namespace detail {

void TaskList::add(TaskNode& node) noexcept {
  node.previous = nullptr;
  node.next = head_;
  if (head_ != nullptr) head_->previous = &node;
  head_ = &node;
  ++size_;
}

void TaskList::remove(TaskNode& node) noexcept {
  (node.previous != nullptr ? node.previous->next : head_) = node.next;
  if (node.next != nullptr) node.next->previous = node.previous;
  --size_;
}

void TaskList::orphan_all() const noexcept {
  for (TaskNode* node = head_; node != nullptr; node = node->next) {
    if (node->orphaned != nullptr) node->orphaned(*node);
  }
}

std::vector<RunningTask> TaskList::snapshot() const {
  std::vector<RunningTask> tasks;
  tasks.reserve(size_);
  for (const TaskNode* node = head_; node != nullptr; node = node->next) {
    tasks.push_back({.name = node->name,
                     .spawned_at = fmt::format("{}:{}", node->spawned_at.file_name(), node->spawned_at.line()),
                     .waiting_on = node->promise->waiting_on()});
  }
  return tasks;
}

}  // namespace detail
}  // namespace spdkio
