// The vocabulary of std::execution that senders are written in: the standard library's where it has one, that of
// another implementation where the program names it, and otherwise a small one of our own with the same names.
#pragma once

#include <version>

// SPDKIO_STDEXEC: use the reference implementation of P2300, <stdexec/execution.hpp>.
#if defined(SPDKIO_STDEXEC)
#include <stdexec/execution.hpp>
#elif defined(__cpp_lib_senders)
#include <execution>
#else
#include <stop_token>
#include <type_traits>
#include <utility>
#endif

namespace spdkio {

#if defined(SPDKIO_STDEXEC)

namespace execution = ::stdexec;

#elif defined(__cpp_lib_senders)

namespace execution {
using std::get_stop_token;
using std::get_stop_token_t;
using std::never_stop_token;
using std::stop_token_of_t;
using std::execution::completion_signatures;
using std::execution::get_completion_scheduler;
using std::execution::get_completion_scheduler_t;
using std::execution::get_env;
using std::execution::operation_state_t;
using std::execution::receiver_t;
using std::execution::scheduler_t;
using std::execution::sender_t;
using std::execution::set_error_t;
using std::execution::set_stopped_t;
using std::execution::set_value_t;
}  // namespace execution

#else

/// The part of [exec] that as_sender and ThreadScheduler need, in the standard's words. A receiver has `set_value`,
/// `set_error` and `set_stopped` as members, and may have `get_env()`, whose `query(get_stop_token)` gives its token.
inline namespace without_senders {
namespace execution {

struct sender_t {};
struct receiver_t {};
struct operation_state_t {};
struct scheduler_t {};

struct set_value_t {};
struct set_error_t {};
struct set_stopped_t {};

template <class... Signatures>
struct completion_signatures {};

struct empty_env {};

/// `get_env(object)`: its environment, or an empty one.
struct get_env_t {
  template <class T>
  decltype(auto) operator()(const T& object) const noexcept {
    if constexpr (requires { object.get_env(); }) {
      return object.get_env();
    } else {
      return empty_env{};
    }
  }
};
inline constexpr get_env_t get_env{};

struct never_stop_token {
  template <class F>
  struct callback_type {
    callback_type(never_stop_token, F) noexcept {}
  };
  static constexpr bool stop_requested() noexcept { return false; }
  static constexpr bool stop_possible() noexcept { return false; }
  bool operator==(const never_stop_token&) const = default;
};

/// `get_stop_token(env)`: what the environment says, or a token that never stops.
struct get_stop_token_t {
  template <class Env>
  auto operator()(const Env& env) const noexcept {
    if constexpr (requires { env.query(*this); }) {
      return env.query(*this);
    } else {
      return never_stop_token{};
    }
  }
};
inline constexpr get_stop_token_t get_stop_token{};

template <class Env>
using stop_token_of_t = std::remove_cvref_t<decltype(get_stop_token(std::declval<Env>()))>;

template <class Completion>
struct get_completion_scheduler_t {
  template <class Env>
  auto operator()(const Env& env) const noexcept {
    return env.query(*this);
  }
};
template <class Completion>
inline constexpr get_completion_scheduler_t<Completion> get_completion_scheduler{};

}  // namespace execution
}  // namespace without_senders

#endif

}  // namespace spdkio
