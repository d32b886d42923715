// The tasks that a Thread or Scope still runs, kept so that they can be listed when something does not end.
#pragma once

#include <cstddef>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio {

/// One line for each task that a Thread or Scope still runs.
struct RunningTask {
  std::string name;        ///< as given to `spawn`; may be empty
  std::string spawned_at;  ///< file:line of the spawn
  std::string waiting_on;  ///< the innermost wait: "read", "sleep_for", "Semaphore", or "ready"
};

/// `name (file:line) waiting on X; ...`, for messages.
std::string describe(const std::vector<RunningTask>& tasks);

namespace detail {

class PromiseBase;

/// A running task in its owner's list; lives in the task's promise.
struct TaskNode {
  TaskNode* previous = nullptr;
  TaskNode* next = nullptr;
  const PromiseBase* promise = nullptr;
  std::string name;
  std::source_location spawned_at;
  /// The owner ended without it: tells whoever waits for the task. Null: nobody does.
  void (*orphaned)(TaskNode&) noexcept = nullptr;
};

class TaskList {
 public:
  void add(TaskNode& node) noexcept;
  void remove(TaskNode& node) noexcept;
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::vector<RunningTask> snapshot() const;
  /// Calls `orphaned` of every task.
  void orphan_all() const noexcept;

 private:
  TaskNode* head_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace detail
}  // namespace spdkio
