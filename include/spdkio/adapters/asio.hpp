// AsioDriver and to_asio: awaitables of this library in a program that runs on Asio.
//
// Needs standalone Asio 1.22 or newer, or, with SPDKIO_BOOST_ASIO defined before the include, Boost.Asio of Boost 1.79
// or newer. The two may meet in one program, not in one source file.
#pragma once

#include <spdkio/adapters/detached.hpp>
#include <spdkio/adapters/fd_driver.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/runtime/thread.hpp>

#if defined(SPDKIO_BOOST_ASIO)
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/version.hpp>
#if BOOST_ASIO_VERSION < 102200
#error "spdkio/adapters/asio.hpp needs Boost 1.79 or newer"
#endif
#if defined(BOOST_ASIO_NO_TS_EXECUTORS)
#error "spdkio/adapters/asio.hpp needs io_context's on_work_finished: do not define BOOST_ASIO_NO_TS_EXECUTORS"
#endif
#else
// Asio before 1.24 does not know the coroutines of newer Clangs by itself.
#if defined(__clang__) && defined(__cpp_impl_coroutine) && !defined(ASIO_HAS_CO_AWAIT)
#if defined(ASIO_DETAIL_CONFIG_HPP)
#error "this Asio was included without coroutines: include spdkio/adapters/asio.hpp first"
#endif
#define ASIO_HAS_CO_AWAIT 1
#define ASIO_HAS_STD_COROUTINE 1
#endif
#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/cancellation_type.hpp>
#include <asio/error.hpp>
#include <asio/error_code.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/version.hpp>
#if ASIO_VERSION < 102200
#error "spdkio/adapters/asio.hpp needs Asio 1.22 or newer"
#endif
#if defined(ASIO_NO_TS_EXECUTORS)
#error "spdkio/adapters/asio.hpp needs io_context's on_work_finished: do not define ASIO_NO_TS_EXECUTORS"
#endif
#endif

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <source_location>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

namespace spdkio {

// Two names, so that what is made for one Asio is not mistaken for what is made for the other.
#if defined(SPDKIO_BOOST_ASIO)
inline namespace with_boost_asio {
namespace asio_adapter {
namespace net = ::boost::asio;
using error_code = ::boost::system::error_code;
}  // namespace asio_adapter
#else
inline namespace with_asio {
namespace asio_adapter {
namespace net = ::asio;
using error_code = ::asio::error_code;
}  // namespace asio_adapter
#endif

namespace asio_adapter {

using Executor = net::io_context::executor_type;

/// The Thread's descriptor in the io_context. It waits for it all the time, but that wait is not work: a program whose
/// other work has ended leaves `run`. Shared with the handler that waits.
class Pump : public std::enable_shared_from_this<Pump> {
 public:
  Pump(net::io_context& io, Thread& thread) : io_(io), driver_(thread), descriptor_(io, driver_.fd()) {}
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;
  // The descriptor belongs to the Thread.
  ~Pump() {
    if (descriptor_.is_open()) descriptor_.release();
  }

  void start() {
    // Not at once: the wait is discounted where other work, this very handler, is counted, since an io_context whose
    // count of work drops to zero stops.
    net::post(io_, [self = shared_from_this()] { self->wait(); });
  }
  void close() {
    if (closed_) return;
    driver_.close();
    closed_ = true;
    descriptor_.release();  // the handler that waits is told
  }
  bool closed() const noexcept { return closed_; }
  FdDriver& driver() noexcept { return driver_; }
  net::io_context& context() const noexcept { return io_; }

 private:
  void wait() {
    if (closed_ || driver_.thread().state() == ThreadState::exited) return;
    descriptor_.async_wait(net::posix::stream_descriptor::wait_read,
                           [self = shared_from_this()](const error_code& error) { self->ready(error); });
    io_.get_executor().on_work_finished();
  }
  void ready(const error_code& error) {
    io_.get_executor().on_work_started();  // given back when this handler ends
    if (closed_) return;
    if (error) throw Error(std::error_code(error), "cannot wait for a thread").with_operation("AsioDriver");
    driver_.dispatch();
    wait();
  }

  net::io_context& io_;
  FdDriver driver_;
  net::posix::stream_descriptor descriptor_;
  bool closed_ = false;
};

/// Where a Thread keeps the Pump that drives it.
inline constexpr char pump_key = 0;
inline std::shared_ptr<void>& pump_of(detail::ThreadCore& core) { return core.local(&pump_key); }

inline Pump& current_pump(const char* operation) {
  const auto& pump = pump_of(detail::ThreadCore::require_current(operation));
  if (pump == nullptr) {
    throw Error(Misuse::not_started, "no AsioDriver drives thread '" + CurrentThread::name() + "'")
        .with_operation(operation);
  }
  return *static_cast<Pump*>(pump.get());
}

/// An Error's code as Asio's own operations give it: an errno in the system category, so that it compares equal to
/// asio::error::operation_aborted and the like. NVMe statuses and Misuse stay what they are.
inline error_code to_error_code(const std::exception_ptr& failure) {
  const std::error_code code = detail::error_from(failure).code();
  if (code.category() == std::generic_category()) return {code.value(), net::error::get_system_category()};
  return code;
}

/// How a failure is told: as an exception, or as a code.
struct AsException {
  using Type = std::exception_ptr;
  static Type from(const std::exception_ptr& failure) noexcept { return failure; }
};
struct AsErrorCode {
  using Type = error_code;
  static Type from(const std::exception_ptr& failure) { return failure ? to_error_code(failure) : error_code{}; }
};

/// Values travel as they are if there is one to send along with a failure, and as a std::optional otherwise.
template <class T>
using Sent = std::conditional_t<std::is_default_constructible_v<T>, T, std::optional<T>>;

template <class Failure, class T>
struct SignatureOf {
  using type = void(typename Failure::Type, Sent<T>);
};
template <class Failure>
struct SignatureOf<Failure, void> {
  using type = void(typename Failure::Type);
};

/// The handler with its result, as the io_context gets it.
template <class Failure, class T, class Handler>
struct Ready {
  using allocator_type = net::associated_allocator_t<Handler>;
  allocator_type get_allocator() const noexcept { return net::get_associated_allocator(handler); }
  void operator()() {
    if constexpr (std::is_void_v<T>) {
      std::move(handler)(Failure::from(failure));
    } else if constexpr (std::is_default_constructible_v<T>) {
      std::move(handler)(Failure::from(failure), value ? std::move(*value) : T{});
    } else {
      std::move(handler)(Failure::from(failure), std::move(value));
    }
  }
  Handler handler;
  std::exception_ptr failure;
  std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>> value;
};

/// Keeps the handler, and both executors busy, until the operation has ended; then posts it.
template <class Failure, class T, class Handler>
class Sink {
  using HandlerExecutor = net::associated_executor_t<Handler, Executor>;

 public:
  Sink(std::shared_ptr<detail::DriverState> state, net::io_context& io, Handler handler)
      : state_(std::move(state)),
        work_(io.get_executor()),
        handler_work_(net::get_associated_executor(handler, io.get_executor())),
        ready_{std::move(handler), {}, {}} {}
  template <class... U>
  void set(U&&... value) {
    ready_.value.emplace(std::forward<U>(value)...);
  }
  void set_exception(const std::exception_ptr& failure) noexcept { ready_.failure = failure; }
  void deliver() && noexcept {
    --state_->in_flight;
    auto slot = net::get_associated_cancellation_slot(ready_.handler);
    if (slot.is_connected()) slot.clear();
    auto executor = handler_work_.get_executor();
    net::post(executor, std::move(ready_));
  }
  Handler& handler() noexcept { return ready_.handler; }

 private:
  std::shared_ptr<detail::DriverState> state_;
  net::executor_work_guard<Executor> work_;
  net::executor_work_guard<HandlerExecutor> handler_work_;
  Ready<Failure, T, Handler> ready_;
};

/// What a cancellation slot calls.
class OnCancel {
 public:
  explicit OnCancel(detail::DetachedPromise& promise) noexcept : promise_(&promise), thread_(CurrentThread::handle()) {}
  void operator()(net::cancellation_type_t type) const {
    // `total` promises that nothing happened, which a device does not.
    if ((type & (net::cancellation_type::terminal | net::cancellation_type::partial)) == net::cancellation_type::none) {
      return;
    }
    if (!thread_.is_current()) {
      throw Error(Misuse::wrong_thread, "an operation of thread '" + thread_.name() + "' was cancelled elsewhere")
          .with_operation("to_asio");
    }
    promise_->stop().request_stop();
  }

 private:
  detail::DetachedPromise* promise_;
  ThreadHandle thread_;
};

template <class Failure>
struct Initiate {
  std::source_location where;
  template <class Handler, class A>
  void operator()(Handler&& handler, A&& awaitable) const {
    using Kept = std::decay_t<Handler>;
    using T = AwaitResult<std::decay_t<A>>;
    Pump& pump = current_pump("to_asio");
    pump.driver().check("to_asio");
    auto task = detail::run_detached<std::decay_t<A>>(
        std::forward<A>(awaitable),
        Sink<Failure, T, Kept>(pump.driver().state(), pump.context(), std::forward<Handler>(handler)));
    auto slot = net::get_associated_cancellation_slot(task.promise().sink().handler());
    if (slot.is_connected()) slot.assign(OnCancel(task.promise()));
    pump.driver().launch(task, "to_asio", where);
  }
};

template <class Token>
inline constexpr bool is_use_awaitable = false;
template <class E>
inline constexpr bool is_use_awaitable<net::use_awaitable_t<E>> = true;

template <class T, class E>
net::awaitable<T, E> unwrap(net::awaitable<std::optional<T>, E> sent) {
  std::optional<T> value = co_await std::move(sent);
  co_return std::move(*value);
}

template <class Failure, class Token, class A>
auto initiate(A awaitable, std::remove_reference_t<Token>& token, std::source_location where) {
  using T = AwaitResult<A>;
  using Signature = typename SignatureOf<Failure, T>::type;
  static_assert(!std::is_reference_v<T>, "Asio sends no references: await something that gives a pointer or a value");
  Initiate<Failure> initiation{where};
  if constexpr (is_use_awaitable<std::decay_t<Token>> && !std::is_void_v<T> && !std::is_default_constructible_v<T>) {
    return unwrap<T>(net::async_initiate<Token, Signature>(initiation, token, std::move(awaitable)));
  } else {
    return net::async_initiate<Token, Signature>(initiation, token, std::move(awaitable));
  }
}

}  // namespace asio_adapter

/// Lets an io_context drive a Thread that is attached to the OS thread on which the io_context runs:
///
///     asio::io_context io;
///     Thread storage = Thread::attach("storage");
///     AsioDriver driver{io, storage};
///
/// Everything of this library works from then on while `io` runs; when there is nothing to do, `io` sleeps in the
/// kernel, and messages from other OS threads, timers and completions wake it. Operations started with `to_asio` are
/// outstanding work of `io`. Other tasks of the Thread run along, but do not keep `io.run()` from returning: give
/// `to_asio` their JoinHandle where it should wait for them.
///
/// One OS thread runs `io`, the one that constructs the driver; a handler that finds itself on another one throws
/// Misuse::wrong_thread out of `run`. `io` and the Thread must outlive the driver, and the Thread must not be moved.
class AsioDriver {
 public:
  /// Throws Misuse::wrong_thread when the Thread is not attached to the calling OS thread, Misuse::already_started when
  /// it has a driver.
  AsioDriver(asio_adapter::net::io_context& io, Thread& storage) {
    storage.fd();  // checks the Thread
    auto& place = asio_adapter::pump_of(detail::ThreadCore::require_current("AsioDriver"));
    if (place != nullptr) {
      throw Error(Misuse::already_started, "thread '" + storage.name() + "' has an AsioDriver")
          .with_operation("AsioDriver");
    }
    auto pump = std::make_shared<asio_adapter::Pump>(io, storage);
    place = pump;
    pump_ = std::move(pump);
    pump_->start();
  }
  AsioDriver(const AsioDriver&) = delete;
  AsioDriver& operator=(const AsioDriver&) = delete;
  /// As `close`; what is wrong with that is logged.
  ~AsioDriver() {
    try {
      close();
    } catch (const Error& error) {
      detail::log_driver_left(in_flight(), error);
    }
  }

  /// Asks the operations in flight to stop and polls the Thread until they have really ended; their handlers are posted
  /// to `io`. A device may be writing into their buffers until then, so this waits. Does nothing the second time.
  void close() {
    if (pump_->closed()) return;
    pump_->close();
    auto* const core = detail::ThreadCore::current();
    if (core == nullptr) return;  // the Thread was closed
    auto& place = asio_adapter::pump_of(*core);
    if (place == pump_) place.reset();
  }

  asio_adapter::net::io_context& context() const noexcept { return pump_->context(); }
  asio_adapter::Executor get_executor() const noexcept { return pump_->context().get_executor(); }
  /// Operations whose handler was not posted yet.
  std::size_t in_flight() const noexcept { return pump_->driver().in_flight(); }
  /// How often the Thread was polled from the loop: an idle one is not.
  std::uint64_t dispatches() const noexcept { return pump_->driver().dispatches(); }

 private:
  std::shared_ptr<asio_adapter::Pump> pump_;
};

/// Starts `awaitable` (an operation, a Task, a JoinHandle, a combinator) for an Asio program; on the OS thread of the
/// AsioDriver, inside `io.run()` or before it. The completion signature is `void(std::exception_ptr, T)`, or
/// `void(std::exception_ptr)` without a value. What is sent on failure is the exception itself, an Error with all that
/// it knows. Without a token it is an asio::awaitable:
///
///     co_await to_asio(disk.read(channel, buffer, ByteOffset{0}));
///     to_asio(disk.flush(channel), [](std::exception_ptr failure) { ... });
///     std::future<Blob> blob = to_asio(store.open_blob(id), asio::use_future);
///
/// A T without a default constructor is sent as std::optional<T>; awaited, it is a T all the same. The handler is
/// posted to its associated executor, the io_context's unless bound; until then both have outstanding work. Buffers and
/// channels must stay until the end of the operation, which a coroutine that awaits it sees to.
///
/// Cancellation by the token's slot, of type `terminal` or `partial`, is a stop request: the operation is still awaited
/// to its real end, and its Error says in outcome() what is known. `total` is ignored, since no device promises that.
/// The slot is used on the driver's OS thread.
///
/// Throws Misuse::wrong_thread outside of a Thread, Misuse::not_started without an AsioDriver on it.
template <Awaitable A, class Token = asio_adapter::net::use_awaitable_t<>>
auto to_asio(A awaitable, Token&& token = {}, std::source_location where = std::source_location::current()) {
  return asio_adapter::initiate<asio_adapter::AsException, Token>(std::move(awaitable), token, where);
}

/// The same with error codes, as Asio's own operations tell theirs: `void(error_code, T)`, for `redirect_error`,
/// `as_tuple` and callbacks. An errno comes in the system category, so that a cancelled operation compares equal to
/// asio::error::operation_aborted; NVMe statuses and Misuse keep their categories. Device, range and outcome are lost.
template <Awaitable A, class Token = asio_adapter::net::use_awaitable_t<>>
auto to_asio_with_code(A awaitable, Token&& token = {}, std::source_location where = std::source_location::current()) {
  return asio_adapter::initiate<asio_adapter::AsErrorCode, Token>(std::move(awaitable), token, where);
}

#if defined(SPDKIO_BOOST_ASIO)
}  // inline namespace with_boost_asio
#else
}  // inline namespace with_asio
#endif

}  // namespace spdkio
