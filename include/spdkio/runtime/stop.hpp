// Cancellation that travels down a tree of tasks. Everything here belongs to one Thread: no atomics, no allocation.
#pragma once

namespace spdkio {

namespace detail {

class StopState;

/// Something to run when a stop is requested. An intrusive node: it lives in the waiting operation, costs no
/// allocation, and unlinks itself when destroyed. The callback runs once, inside `request_stop`, on the same Thread,
/// and must not throw. It may destroy the node, but must not resume a coroutine in place: that could destroy the
/// StopState that is calling. `ThreadCore::make_ready` is the way.
class StopNode {
 public:
  using Callback = void (*)(StopNode&) noexcept;
  explicit StopNode(Callback callback) noexcept : callback_(callback) {}
  StopNode(const StopNode&) = delete;
  StopNode& operator=(const StopNode&) = delete;
  ~StopNode() { unlink(); }
  void unlink() noexcept {
    if (previous_next_ == nullptr) return;
    *previous_next_ = next_;
    if (next_ != nullptr) next_->previous_next_ = previous_next_;
    previous_next_ = nullptr;
    next_ = nullptr;
  }
  bool linked() const noexcept { return previous_next_ != nullptr; }

 private:
  friend class StopState;
  Callback callback_;
  StopNode** previous_next_ = nullptr;
  StopNode* next_ = nullptr;
};

/// One level of the tree: stopping it stops every level below it, never the one above. Owned by a scope or combinator.
class StopState : private StopNode {
 public:
  StopState() noexcept : StopNode(on_parent_stop) {}
  /// What is still linked below is let go: it hears of no stop any more.
  ~StopState() {
    while (head_ != nullptr) head_->unlink();
  }

  /// Makes this level stop when `parent` does; at once if it already has. Null: none. At most one parent.
  void link_to(StopState* parent) noexcept {
    if (parent == nullptr || linked()) return;
    if (parent->requested_) {
      request_stop();
    } else {
      parent->add(*this);
    }
  }
  void unlink_from_parent() noexcept { unlink(); }

  bool stop_requested() const noexcept { return requested_; }
  /// `node` runs at the next `request_stop`; the caller checks `stop_requested` first.
  void add(StopNode& node) noexcept {
    node.next_ = head_;
    node.previous_next_ = &head_;
    if (head_ != nullptr) head_->previous_next_ = &node.next_;
    head_ = &node;
  }
  /// Runs every callback once. Further calls do nothing.
  void request_stop() noexcept {
    if (requested_) return;
    requested_ = true;
    while (head_ != nullptr) {
      StopNode* node = head_;
      node->unlink();
      node->callback_(*node);
    }
  }

 private:
  static void on_parent_stop(StopNode& node) noexcept { static_cast<StopState&>(node).request_stop(); }

  bool requested_ = false;
  StopNode* head_ = nullptr;
};

}  // namespace detail

/// Says whether a stop was requested, for code that looks from time to time. Valid on the Thread where it was taken,
/// while the task that it was taken in runs there.
class StopToken {
 public:
  StopToken() = default;
  explicit StopToken(const detail::StopState* state) noexcept : state_(state) {}
  bool stop_requested() const noexcept { return state_ != nullptr && state_->stop_requested(); }
  bool stop_possible() const noexcept { return state_ != nullptr; }

 private:
  const detail::StopState* state_ = nullptr;
};

}  // namespace spdkio
