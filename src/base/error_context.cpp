#include <spdkio/base/error_context.hpp>

namespace spdkio::detail {

ErrorScope& ErrorScope::of_os_thread() noexcept {
  static constinit thread_local ErrorScope scope;
  return scope;
}

std::size_t ErrorScope::depth() noexcept {
  std::size_t count = 0;
  for (const ErrorScope* scope = &here(); scope != nullptr; scope = scope->outer_scope_) {
    for (const ErrorSpan* span = scope->innermost_; span != nullptr; span = span->outer_) ++count;
  }
  return count;
}

void ErrorScope::release_spans() noexcept {
  for (ErrorSpan* span = innermost_; span != nullptr; span = span->outer_) span->link_ = nullptr;
  innermost_ = nullptr;
}

}  // namespace spdkio::detail
