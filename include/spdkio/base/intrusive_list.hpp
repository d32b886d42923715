// A doubly linked list whose links live in its elements: no allocation, removal without a search.
#pragma once

#include <cassert>
#include <cstddef>
#include <iterator>
#include <utility>

namespace spdkio {

template <class T, class Tag>
class IntrusiveList;

/// Base class of elements of an IntrusiveList. An element that is in several lists at once derives from one node for
/// each, told apart by `Tag`. Not copyable and not movable, as neighbours point to it. Debug builds assert that it is
/// in no list when it is destroyed.
template <class Tag = void>
class IntrusiveListNode {
 public:
  IntrusiveListNode() = default;
  IntrusiveListNode(const IntrusiveListNode&) = delete;
  IntrusiveListNode& operator=(const IntrusiveListNode&) = delete;
  ~IntrusiveListNode() { assert(!is_linked() && "destroyed while in a list"); }

  bool is_linked() const noexcept { return next_ != nullptr; }
  /// Takes the element out of the list it is in; no effect if it is in none. Constant time, needs no list.
  void unlink() noexcept {
    if (!is_linked()) return;
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = nullptr;
  }

 private:
  template <class T, class U>
  friend class IntrusiveList;

  IntrusiveListNode* prev_ = nullptr;
  IntrusiveListNode* next_ = nullptr;
};

/// A list of `T`, which derives publicly from IntrusiveListNode<Tag>. Owns nothing: elements outlive their membership.
/// Destroying the list unlinks what is left. Not thread-safe.
template <class T, class Tag = void>
class IntrusiveList {
  using Node = IntrusiveListNode<Tag>;

  template <class Value, class NodePointer>
  class BasicIterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::bidirectional_iterator_tag;
    using pointer = Value*;
    using reference = Value&;

    BasicIterator() = default;
    Value& operator*() const { return static_cast<Value&>(*node_); }
    Value* operator->() const { return static_cast<Value*>(node_); }
    BasicIterator& operator++() {
      node_ = node_->next_;
      return *this;
    }
    BasicIterator operator++(int) { return std::exchange(*this, BasicIterator{node_->next_}); }
    BasicIterator& operator--() {
      node_ = node_->prev_;
      return *this;
    }
    BasicIterator operator--(int) { return std::exchange(*this, BasicIterator{node_->prev_}); }
    bool operator==(const BasicIterator&) const = default;

   private:
    friend class IntrusiveList;
    explicit BasicIterator(NodePointer node) : node_(node) {}
    NodePointer node_ = nullptr;
  };

 public:
  using Iterator = BasicIterator<T, Node*>;
  using ConstIterator = BasicIterator<const T, const Node*>;

  IntrusiveList() noexcept { reset(); }
  /// Takes all elements over, in order and in constant time.
  IntrusiveList(IntrusiveList&& other) noexcept {
    reset();
    splice_back(other);
  }
  IntrusiveList& operator=(IntrusiveList&& other) noexcept {
    if (this != &other) {
      clear();
      splice_back(other);
    }
    return *this;
  }
  ~IntrusiveList() {
    clear();
    head_.prev_ = head_.next_ = nullptr;
  }

  bool empty() const noexcept { return head_.next_ == &head_; }
  /// Counts the elements one by one.
  std::size_t size() const noexcept { return static_cast<std::size_t>(std::distance(begin(), end())); }

  /// The list is not empty.
  T& front() noexcept {
    assert(!empty());
    return static_cast<T&>(*head_.next_);
  }
  T& back() noexcept {
    assert(!empty());
    return static_cast<T&>(*head_.prev_);
  }

  /// The element is in no list of this tag, as for all insertions.
  void push_back(T& element) noexcept { link(element, *head_.prev_, head_); }
  void push_front(T& element) noexcept { link(element, head_, *head_.next_); }
  void insert_before(T& position, T& element) noexcept {
    Node& next = position;
    link(element, *next.prev_, next);
  }
  /// The first element, taken out; null if there is none.
  T* pop_front() noexcept {
    if (empty()) return nullptr;
    T& element = front();
    remove(element);
    return &element;
  }
  T* pop_back() noexcept {
    if (empty()) return nullptr;
    T& element = back();
    remove(element);
    return &element;
  }
  /// The element is in this list. Constant time.
  void remove(T& element) noexcept {
    Node& node = element;
    assert(node.is_linked());
    node.unlink();
  }
  /// Unlinks every element.
  void clear() noexcept {
    while (pop_front() != nullptr) {
    }
  }
  /// Moves all elements of `other` to the end, in constant time.
  void splice_back(IntrusiveList& other) noexcept {
    if (this == &other || other.empty()) return;
    Node* first = other.head_.next_;
    Node* last = other.head_.prev_;
    other.reset();
    first->prev_ = head_.prev_;
    head_.prev_->next_ = first;
    last->next_ = &head_;
    head_.prev_ = last;
  }

  /// An iterator stays valid until its element is taken out; take it out only after stepping on.
  Iterator begin() noexcept { return Iterator{head_.next_}; }
  Iterator end() noexcept { return Iterator{&head_}; }
  ConstIterator begin() const noexcept { return ConstIterator{head_.next_}; }
  ConstIterator end() const noexcept { return ConstIterator{&head_}; }

 private:
  void reset() noexcept { head_.prev_ = head_.next_ = &head_; }
  static void link(Node& node, Node& prev, Node& next) noexcept {
    assert(!node.is_linked() && "already in a list");
    node.prev_ = &prev;
    node.next_ = &next;
    prev.next_ = &node;
    next.prev_ = &node;
  }

  Node head_;
};

}  // namespace spdkio
