// A first-in first-out queue whose link lives in its elements: no allocation, one pointer per element.
#pragma once

#include <cassert>
#include <cstddef>
#include <utility>

namespace spdkio {

/// A queue of `T`, linked through the member `Next`. Owns nothing: elements outlive their membership, and an element is
/// in one queue per link at most. The link of an element outside is of no meaning and may be left uninitialised.
/// Move-only; not thread-safe.
template <class T, T* T::* Next = &T::next>
class IntrusiveQueue {
 public:
  IntrusiveQueue() noexcept = default;
  /// Takes all elements over, in order and in constant time.
  IntrusiveQueue(IntrusiveQueue&& other) noexcept
      : head_(std::exchange(other.head_, nullptr)), tail_(std::exchange(other.tail_, nullptr)) {}
  IntrusiveQueue& operator=(IntrusiveQueue&& other) noexcept {
    T* head = std::exchange(other.head_, nullptr);
    T* tail = std::exchange(other.tail_, nullptr);
    head_ = head;
    tail_ = tail;
    return *this;
  }

  bool empty() const noexcept { return head_ == nullptr; }
  /// The oldest element, or null.
  T* front() const noexcept { return head_; }
  /// The newest element, or null.
  T* back() const noexcept { return tail_; }

  void push_back(T& element) noexcept {
    element.*Next = nullptr;
    if (tail_ != nullptr) {
      tail_->*Next = &element;
    } else {
      head_ = &element;
    }
    tail_ = &element;
  }
  void push_front(T& element) noexcept {
    element.*Next = head_;
    head_ = &element;
    if (tail_ == nullptr) tail_ = &element;
  }
  /// The oldest element, taken out; null if there is none.
  T* pop_front() noexcept {
    T* element = head_;
    if (element == nullptr) return nullptr;
    head_ = element->*Next;
    if (head_ == nullptr) tail_ = nullptr;
    element->*Next = nullptr;
    return element;
  }
  /// Moves all elements of `other` to the end, in constant time.
  void append(IntrusiveQueue&& other) noexcept {
    if (this == &other || other.empty()) return;
    if (tail_ != nullptr) {
      tail_->*Next = other.head_;
    } else {
      head_ = other.head_;
    }
    tail_ = other.tail_;
    other.head_ = other.tail_ = nullptr;
  }
  /// Takes out the element, wherever it stands; false if it is not in the queue. Searches from the front.
  bool remove(T& element) noexcept {
    T* previous = nullptr;
    for (T* current = head_; current != nullptr; previous = current, current = current->*Next) {
      if (current != &element) continue;
      T* const next = current->*Next;
      (previous != nullptr ? previous->*Next : head_) = next;
      if (next == nullptr) tail_ = previous;
      element.*Next = nullptr;
      return true;
    }
    return false;
  }
  /// Counts the elements one by one.
  std::size_t size() const noexcept {
    std::size_t count = 0;
    for (const T* current = head_; current != nullptr; current = current->*Next) ++count;
    return count;
  }

 private:
  T* head_ = nullptr;
  T* tail_ = nullptr;
};

}  // namespace spdkio
