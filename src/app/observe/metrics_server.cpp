#include "app/observe/metrics_server.hpp"

#include <spdkio/base/clock.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/base/unique_fd.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "app/observe/http_request.hpp"
#include "rpc/connection.hpp"
#include "rpc/listener.hpp"

namespace spdkio::app {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view metrics_type = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view plain_type = "text/plain; charset=utf-8";
constexpr std::chrono::nanoseconds accept_pause = 100ms;
constexpr std::chrono::nanoseconds goodbye_limit = 1s;
// A Thread that is busy with I/O asks the kernel about clients this often, not at every round.
constexpr std::chrono::nanoseconds look_period = 1ms;

}  // namespace

class MetricsServer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(MetricsServerOptions options, Collect collect) : options_(std::move(options)), collect_(std::move(collect)) {
    listener_.emplace(options_.address, options_.allow_remote);
    address_ = listener_->address();
    epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_) throw Error::from_errno(errno, "epoll_create1").with_operation("metrics listen");
    watch(listener_->fd(), 0);
  }

  void start() {
    poller_.emplace([this] { return look(); }, PollerOptions{.name = "metrics", .wake_fd = epoll_.get()});
    scope_.spawn(accept_clients(shared_from_this()), "metrics accept");
    log::info("metrics at http://{}/metrics", address_);
  }

  const std::string& address() const { return address_; }

  static Task<> close(std::shared_ptr<Impl> self) {
    self->stop();
    try {
      co_await self->scope_.join();
    } catch (const Error& error) {
      log::debug("metrics server on {} closed: {}", self->address_, error.what());
    }
    self->poller_.reset();
  }

  void abandon() noexcept {
    if (!closing_) log::error("the metrics server on {} was destroyed without close()", address_);
    stop();
    poller_.reset();
  }

 private:
  void stop() noexcept {
    closing_ = true;
    listener_.reset();
    scope_.request_stop();
  }

  void watch(int fd, std::uint64_t number) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.u64 = number;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) throw Error::from_errno(errno, "epoll_ctl");
  }

  PollResult look() {
    const std::uint64_t now = ticks();
    if (now < next_look_ticks_) return PollResult::idle;
    std::array<epoll_event, 32> events;
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const std::uint64_t number = event.data.u64;
      if (number == 0) {
        acceptable_.set();
      } else if (const auto found = connections_.find(number); found != connections_.end()) {
        found->second->on_events(event.events);
      }
    }
    if (count > 0) return PollResult::busy;
    next_look_ticks_ = ticks_after(now, look_period);
    return PollResult::idle;
  }

  static Task<> accept_clients(std::shared_ptr<Impl> self) {
    while (!self->closing_) {
      self->acceptable_.reset();
      if (self->connections_.size() >= self->options_.max_connections) {
        co_await self->acceptable_.wait();
        continue;
      }
      UniqueFd fd(::accept4(self->listener_->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd) {
        self->admit(std::move(fd));
      } else if (errno == EAGAIN) {
        co_await self->acceptable_.wait();
      } else if (errno != EINTR && errno != ECONNABORTED) {
        co_await sleep_for(accept_pause);  // out of descriptors or memory: the client waits in the backlog
      }
    }
  }

  void admit(UniqueFd fd) {
    const std::uint64_t number = ++last_number_;
    try {
      auto connection = std::make_shared<rpc::Connection>(std::move(fd), number);
      watch(connection->fd(), number);
      connections_.emplace(number, connection);
      scope_.spawn(serve(shared_from_this(), std::move(connection)), "metrics client");
    } catch (...) {
      connections_.erase(number);
      log::warn("the metrics server drops a client: {}", Error::from_current_exception().what());
    }
  }

  static Task<> serve(std::shared_ptr<Impl> self, std::shared_ptr<rpc::Connection> connection) {
    try {
      const auto request = co_await with_timeout(self->options_.client_limit, receive_request(*connection));
      if (request.has_value()) {
        const std::string answer = co_await self->answer(*request);
        co_await connection->send(answer, self->options_.client_limit);
        co_await connection->finish(goodbye_limit);
      }
    } catch (...) {
      log::debug("a client of the metrics server: {}", Error::from_current_exception().what());
    }
    self->connections_.erase(connection->number());
    self->acceptable_.set();
  }

  using Asked = std::expected<std::optional<HttpRequest>, HttpRefusal>;

  /// Nothing when the client went away before it had asked.
  static Task<std::optional<Asked>> receive_request(rpc::Connection& connection) {
    std::string received;
    std::array<char, 2048> bytes;
    for (;;) {
      const std::size_t length = co_await connection.receive(bytes);
      if (length == 0) co_return std::nullopt;
      received.append(bytes.data(), length);
      Asked asked = read_http_request(received);
      if (!asked || *asked) co_return std::optional<Asked>(std::move(asked));
    }
  }

  Task<std::string> answer(const Asked& asked) {
    if (!asked) co_return http_response(static_cast<int>(asked.error()), plain_type, "this is not understood\n");
    const HttpRequest& request = **asked;
    const bool head_only = request.method == "HEAD";
    if (request.method != "GET" && !head_only) co_return http_response(405, plain_type, "only GET and HEAD\n");
    if (request.path == "/") co_return http_response(200, plain_type, "metrics are at /metrics\n", head_only);
    if (request.path != "/metrics") co_return http_response(404, plain_type, "there is only /metrics\n", head_only);
    std::string failure;
    try {
      const std::string page = co_await collect_();
      co_return http_response(200, metrics_type, page, head_only);
    } catch (const Error& error) {
      failure = error.what();
    }
    co_return http_response(500, plain_type, failure + "\n", head_only);
  }

  const MetricsServerOptions options_;
  const Collect collect_;
  std::optional<rpc::Listener> listener_;
  std::string address_;
  UniqueFd epoll_;
  bool closing_ = false;
  std::uint64_t last_number_ = 0;  // 0 is the listening socket
  std::unordered_map<std::uint64_t, std::shared_ptr<rpc::Connection>> connections_;
  Event acceptable_;
  std::uint64_t next_look_ticks_ = 0;
  std::optional<Poller> poller_;
  Scope scope_{"metrics server"};
};

MetricsServer MetricsServer::listen(MetricsServerOptions options, Collect collect) {
  auto impl = std::make_shared<Impl>(std::move(options), std::move(collect));
  impl->start();
  return MetricsServer(std::move(impl));
}

MetricsServer::MetricsServer(std::shared_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
MetricsServer::MetricsServer(MetricsServer&&) noexcept = default;
MetricsServer::~MetricsServer() {
  if (impl_ != nullptr) impl_->abandon();
}

const std::string& MetricsServer::address() const { return impl_->address(); }
Task<> MetricsServer::close() { return Impl::close(impl_); }

}  // namespace spdkio::app
