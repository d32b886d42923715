#include <spdkio/bdev/coroutine_device.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/bdev/channel_slot.hpp>
#include <spdkio/bdev/device_state.hpp>
#include <spdkio/runtime/promise.hpp>

#include <cerrno>
#include <coroutine>
#include <exception>
#include <new>
#include <system_error>
#include <utility>

namespace spdkio::bdev {
namespace {

class CoroutineChannel;

/// The coroutine around one `serve`. It owns itself: at its end it frees its frame, then ends the request.
class Serving {
 public:
  class promise_type final : public detail::PromiseBase {
   public:
    promise_type(CoroutineChannel& channel, Io& io) noexcept;
    ~promise_type();
    promise_type(const promise_type&) = delete;
    promise_type& operator=(const promise_type&) = delete;

    Serving get_return_object() noexcept { return Serving{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    auto final_suspend() const noexcept {
      struct Final {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<promise_type> handle) const noexcept {
          Io& io = handle.promise().io_;
          const IoStatus status = handle.promise().status_;
          detail::ErrorScope::set_current(nullptr);
          handle.destroy();
          io.complete(status);
        }
        void await_resume() const noexcept {}
      };
      return Final{};
    }
    void return_void() const noexcept {}
    void unhandled_exception() noexcept;

    void request_stop(bool removed) noexcept {
      removed_ = removed_ || removed;
      stop_.request_stop();
    }

    promise_type* next = nullptr;
    promise_type* previous = nullptr;

   private:
    CoroutineChannel& channel_;
    Io& io_;
    IoStatus status_;
    detail::StopState stop_;
    bool removed_ = false;
  };

  explicit Serving(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  void start() const { detail::resume_inside(handle_, &handle_.promise()); }

 private:
  std::coroutine_handle<promise_type> handle_;
};

class CoroutineChannel final : public Channel {
 public:
  explicit CoroutineChannel(CoroutineDevice& device) : device_(device), thread_state_(device.make_thread_state()) {}
  ~CoroutineChannel() override = default;

  void submit(Io& io) noexcept override {
    try {
      serve(*this, io).start();
    } catch (const std::bad_alloc&) {
      io.complete(IoStatus::no_memory());  // there was no room for the frame
    }
  }
  void abort(Io& io) noexcept override { running(io)->request_stop(false); }
  void device_removed() noexcept override {
    for (auto* each = running_; each != nullptr; each = each->next) each->request_stop(true);
  }

  static Serving::promise_type*& running(Io& io) noexcept { return io.context<Serving::promise_type*>(); }
  void add(Serving::promise_type& promise) noexcept {
    promise.next = running_;
    if (running_ != nullptr) running_->previous = &promise;
    running_ = &promise;
  }
  void remove(Serving::promise_type& promise) noexcept {
    (promise.previous != nullptr ? promise.previous->next : running_) = promise.next;
    if (promise.next != nullptr) promise.next->previous = promise.previous;
  }
  const std::string& device_name() const noexcept { return device_.name(); }

 private:
  static Serving serve(CoroutineChannel& channel, Io& io) {
    IoRequest request(io, channel.thread_state_.get());
    auto serving = channel.device_.serve(request);
    co_await std::move(serving);
  }

  CoroutineDevice& device_;
  std::unique_ptr<DeviceThreadState> thread_state_;
  Serving::promise_type* running_ = nullptr;
};

Serving::promise_type::promise_type(CoroutineChannel& channel, Io& io) noexcept : channel_(channel), io_(io) {
  CoroutineChannel::running(io) = this;
  channel_.add(*this);
  set_stop_state(&stop_);
}

Serving::promise_type::~promise_type() { channel_.remove(*this); }

void Serving::promise_type::unhandled_exception() noexcept {
  const Error error = Error::from_current_exception();
  bool foreign = false;
  try {
    throw;
  } catch (const std::system_error&) {
  } catch (const std::bad_alloc&) {
  } catch (...) {
    foreign = true;
  }
  if (stop_.stop_requested() && error.code() == std::errc::operation_canceled) {
    // `serve` may have done part of its work before it heard of the stop.
    const Outcome outcome = modifies(io_.type) ? Outcome::may_have_executed : Outcome::aborted;
    status_ = removed_ ? IoStatus::system(ENODEV, outcome) : IoStatus::cancelled(outcome);
    return;
  }
  if (foreign || (error.is_misuse() && error.code() != Misuse::not_supported)) {
    log::error("'{}' could not serve a {}: {}", channel_.device_name(), to_string(io_.type), error.what());
    status_ = IoStatus::system(EIO);
    return;
  }
  status_ = IoStatus::from(error);
}

}  // namespace

CoroutineDevice::CoroutineDevice(std::string name, std::string product_name, Geometry geometry,
                                 std::initializer_list<IoType> operations)
    : Device(std::move(name), std::move(product_name), geometry) {
  for (const IoType type : operations) operations_ |= 1U << static_cast<std::uint32_t>(type);
}

std::unique_ptr<Channel> CoroutineDevice::make_channel() { return std::make_unique<CoroutineChannel>(*this); }

}  // namespace spdkio::bdev
