// ErrorContext: says what a piece of code is doing, for the Errors that are made meanwhile.
#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <source_location>
#include <string>
#include <tuple>
#include <utility>

namespace spdkio {

namespace detail {

class ErrorSpan;

/// What one coroutine, or one OS thread outside of coroutines, is doing: its spans, innermost first, and the coroutine
/// that waits for it. The runtime keeps `current` right while coroutines suspend and resume. Everything belongs to the
/// OS thread that runs the coroutine just now.
class ErrorScope {
 public:
  constexpr ErrorScope() noexcept = default;
  ErrorScope(const ErrorScope&) = delete;
  ErrorScope& operator=(const ErrorScope&) = delete;

  /// The one whose code the calling OS thread runs; null outside of coroutines and Threads.
  static ErrorScope* current() noexcept { return current_; }
  static void set_current(ErrorScope* scope) noexcept { current_ = scope; }
  /// `current`, or the calling OS thread's own.
  static ErrorScope& here() noexcept { return current_ != nullptr ? *current_ : of_os_thread(); }

  /// Who waits for the end of this one; it stays until then.
  ErrorScope* outer_scope() const noexcept { return outer_scope_; }
  void set_outer_scope(ErrorScope* outer) noexcept { outer_scope_ = outer; }
  /// Where the coroutine is defined; line 0: not known.
  const std::source_location& where() const noexcept { return where_; }
  void set_where(const std::source_location& where) noexcept { where_ = where; }
  /// The name and place that a task was spawned with; valid as long as the scope. Null: it was not spawned.
  const std::string* task_name() const noexcept { return task_name_; }
  const std::source_location& task_spawned_at() const noexcept { return *spawned_at_; }
  void set_task(const std::string& name, const std::source_location& spawned_at) noexcept {
    task_name_ = &name;
    spawned_at_ = &spawned_at;
  }
  const ErrorSpan* innermost() const noexcept { return innermost_; }
  /// How many spans there are from here outwards.
  static std::size_t depth() noexcept;

 protected:
  /// Lets go of spans that are still open: they belong to nothing from now on.
  void release_spans() noexcept;
  bool has_spans() const noexcept { return innermost_ != nullptr; }

 private:
  friend class ErrorSpan;
  static ErrorScope& of_os_thread() noexcept;
  static inline constinit thread_local ErrorScope* current_ = nullptr;

  ErrorSpan* innermost_ = nullptr;
  ErrorScope* outer_scope_ = nullptr;
  std::source_location where_{};
  const std::string* task_name_ = nullptr;
  const std::source_location* spawned_at_ = nullptr;
};

/// The link that an ErrorContext is on.
class ErrorSpan {
 public:
  ErrorSpan(const ErrorSpan&) = delete;
  ErrorSpan& operator=(const ErrorSpan&) = delete;
  const ErrorSpan* outer() const noexcept { return outer_; }
  /// What it says. Throws what formatting does.
  std::string text() const { return describe_(*this); }

 protected:
  using Describe = std::string (*)(const ErrorSpan&);
  explicit ErrorSpan(Describe describe) noexcept : describe_(describe) {
    ErrorScope& scope = ErrorScope::here();
    outer_ = scope.innermost_;
    if (outer_ != nullptr) outer_->link_ = &outer_;
    link_ = &scope.innermost_;
    scope.innermost_ = this;
  }
  ~ErrorSpan() {
    if (link_ == nullptr) return;
    *link_ = outer_;
    if (outer_ != nullptr) outer_->link_ = link_;
  }

 private:
  friend class ErrorScope;
  // Spans of one coroutine are nested, but the list survives any order of their ends. Mutable, since a context is
  // usually declared const.
  Describe describe_;
  mutable ErrorSpan* outer_ = nullptr;
  mutable ErrorSpan** link_ = nullptr;
};

}  // namespace detail

/// Says what the enclosing block is doing. An Error that is made or rethrown while it lives, in this function, in what
/// it calls, and in every task that it awaits, carries the text in `Error::context()`:
///
///     Task<> copy(BdevDesc& from, BdevDesc& to) {
///       const ErrorContext doing("copying {} to {}", from.name(), to.name());
///       for (...) co_await copy_range(from, to, range);    // "read on Malloc0, ...: ...; copying Malloc0 to Malloc1"
///     }
///
/// A few stores at the begin and at the end; nothing is formatted or allocated before an Error is made. Lvalue
/// arguments are kept by reference and formatted then, so the text may tell how far things had got; rvalues are kept by
/// value. For plain functions and for coroutines, across every suspension and move between Threads. A local variable:
/// neither copied nor moved. Errors of tasks that were spawned get it where they are joined.
template <class... Args>
class ErrorContext final : private detail::ErrorSpan {
 public:
  explicit ErrorContext(fmt::format_string<Args...> format, Args&&... args) noexcept
      : ErrorSpan(describe), format_(format), args_(std::forward<Args>(args)...) {}

 private:
  static std::string describe(const ErrorSpan& span) {
    const auto& self = static_cast<const ErrorContext&>(span);
    return std::apply([&](const auto&... args) { return fmt::vformat(self.format_, fmt::make_format_args(args...)); },
                      self.args_);
  }

  fmt::string_view format_;
  std::tuple<Args...> args_;
};

template <class... Args>
ErrorContext(fmt::format_string<Args...>, Args&&...) -> ErrorContext<Args...>;

}  // namespace spdkio
