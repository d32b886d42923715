#include <spdkio/rpc/server.hpp>

#include <spdkio/base/clock.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/base/unique_fd.hpp>
#include <spdkio/rpc/json_framer.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/poller.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <optional>
#include <unordered_map>
#include <utility>

#include "rpc/connection.hpp"
#include "rpc/listener.hpp"

namespace spdkio::rpc {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t receive_bytes = 16u << 10;
constexpr std::chrono::nanoseconds goodbye_limit = 1s;
constexpr std::chrono::nanoseconds accept_pause = 100ms;
// A Thread that is busy with I/O asks the kernel about clients this often, not at every round.
constexpr std::chrono::nanoseconds look_period = 100us;

}  // namespace

class Server::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Dispatcher& dispatcher, ServerOptions options);
  void start();
  static Task<> close(std::shared_ptr<Impl> self, std::chrono::nanoseconds grace);
  void abandon() noexcept;

  const std::string& address() const { return address_; }
  std::size_t connections() const { return connections_.size(); }

 private:
  PollResult look();
  void watch(int fd, std::uint64_t number);
  void stop_listening() noexcept;
  void admit(UniqueFd fd);
  static Task<> accept_clients(std::shared_ptr<Impl> self);
  static Task<> serve(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection);
  Task<> converse(Connection& connection);
  Task<> answer(Connection& connection, Json message);
  std::string to_text(const Json& answer) const;

  Dispatcher& dispatcher_;
  ServerOptions options_;
  std::optional<Listener> listener_;
  std::string address_;
  bool tcp_ = false;
  bool closing_ = false;
  UniqueFd epoll_;
  std::uint64_t last_number_ = 0;  // 0 is the listening socket
  std::unordered_map<std::uint64_t, std::shared_ptr<Connection>> connections_;
  Event acceptable_;
  std::uint64_t next_look_ticks_ = 0;
  std::optional<Poller> poller_;
  Scope scope_{"rpc server"};
};

Server::Impl::Impl(Dispatcher& dispatcher, ServerOptions options)
    : dispatcher_(dispatcher), options_(std::move(options)) {
  listener_.emplace(options_.address, options_.allow_remote);
  address_ = listener_->address();
  tcp_ = !listener_->is_unix();
  epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) throw Error::from_errno(errno, "epoll_create1").with_operation("rpc listen");
  watch(listener_->fd(), 0);
}

void Server::Impl::start() {
  poller_.emplace([this] { return look(); }, PollerOptions{.name = "rpc", .wake_fd = epoll_.get()});
  scope_.spawn(accept_clients(shared_from_this()), "rpc accept");
  log::debug("RPC server listens on {}", address_);
}

void Server::Impl::watch(int fd, std::uint64_t number) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = number;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) throw Error::from_errno(errno, "epoll_ctl");
}

PollResult Server::Impl::look() {
  const std::uint64_t now = ticks();
  if (now < next_look_ticks_) return PollResult::idle;
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  if (count <= 0) {
    next_look_ticks_ = ticks_after(now, look_period);
    return PollResult::idle;
  }
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    const std::uint64_t number = event.data.u64;  // a copy: the structure is packed
    if (number == 0) {
      acceptable_.set();
    } else if (const auto found = connections_.find(number); found != connections_.end()) {
      found->second->on_events(event.events);
    }
  }
  return PollResult::busy;
}

Task<> Server::Impl::accept_clients(std::shared_ptr<Impl> self) {
  bool complained = false;
  try {
    while (!self->closing_) {
      self->acceptable_.reset();
      if (self->connections_.size() >= self->options_.max_connections) {
        co_await self->acceptable_.wait();
        continue;
      }
      UniqueFd fd(accept4(self->listener_->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd) {
        complained = false;
        self->admit(std::move(fd));
      } else if (errno == EAGAIN) {
        co_await self->acceptable_.wait();
      } else if (errno != EINTR && errno != ECONNABORTED) {
        // Out of descriptors or memory: the client waits in the backlog until there are some again.
        const Error error = Error::from_errno(errno);
        if (!std::exchange(complained, true))
          log::warn("RPC server on {} can't accept: {}", self->address_, error.what());
        co_await sleep_for(accept_pause);
      }
    }
  } catch (const Error& error) {
    if (error.code() != std::errc::operation_canceled)
      log::error("RPC server on {} stopped: {}", self->address_, error.what());
  }
}

void Server::Impl::admit(UniqueFd fd) {
  if (tcp_) {
    // A client whose machine went away must not hold its place for ever.
    const int on = 1;
    const int idle_s = 60;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  }
  const std::uint64_t number = ++last_number_;
  try {
    auto connection = std::make_shared<Connection>(std::move(fd), number);
    watch(connection->fd(), number);
    connections_.emplace(number, connection);
    scope_.spawn(serve(shared_from_this(), std::move(connection)), fmt::format("rpc connection {}", number));
  } catch (...) {
    // This client is dropped; the server goes on.
    connections_.erase(number);
    log::warn("RPC server on {} drops a client: {}", address_, Error::from_current_exception().what());
  }
}

Task<> Server::Impl::serve(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection) {
  try {
    co_await self->converse(*connection);
  } catch (...) {
    const Error error = Error::from_current_exception();
    log::debug("RPC connection {} ended: {}", connection->number(), error.what());
  }
  self->connections_.erase(connection->number());
  self->acceptable_.set();
}

Task<> Server::Impl::converse(Connection& connection) {
  JsonFramer framer(options_.limits);
  std::array<char, receive_bytes> bytes;
  while (!closing_) {
    auto message = framer.next();
    if (!message) {
      const std::string text = to_text(make_error_response(nullptr, RpcError::parse_error(message.error().message())));
      co_await connection.send(text, options_.stall_limit);
      co_await connection.finish(goodbye_limit);
      co_return;
    }
    if (*message) {
      co_await answer(connection, std::move(**message));
      continue;
    }
    const std::size_t length = co_await connection.receive(bytes);
    if (length == 0) co_return;
    framer.push({bytes.data(), length});
    // A client that sends without pause must not keep others from their turn.
    co_await yield();
  }
}

Task<> Server::Impl::answer(Connection& connection, Json message) {
  const std::optional<Json> result = co_await dispatcher_.handle(std::move(message));
  if (result) {
    const std::string text = to_text(*result);
    co_await connection.send(text, options_.stall_limit);
  }
  co_await yield();
}

std::string Server::Impl::to_text(const Json& answer) const {
  std::string text = dump_json(answer);
  if (text.size() > options_.max_response_bytes) {
    const Json id = answer.is_object() ? answer.at("id") : Json(nullptr);
    const std::string what =
        fmt::format("the answer has {} bytes, the limit is {}", text.size(), options_.max_response_bytes);
    text = dump_json(make_error_response(id, RpcError::internal(what)));
  }
  return text += '\n';
}

void Server::Impl::stop_listening() noexcept {
  closing_ = true;
  listener_.reset();
  acceptable_.set();
  for (const auto& [number, connection] : connections_) connection->stop_reading();
}

Task<> Server::Impl::close(std::shared_ptr<Impl> self, std::chrono::nanoseconds grace) {
  self->stop_listening();
  try {
    co_await with_timeout(grace, self->scope_.join());
  } catch (const Error& error) {
    log::warn("RPC server on {} closed: {}", self->address_, error.what());
  }
  self->poller_.reset();
}

void Server::Impl::abandon() noexcept {
  stop_listening();
  if (scope_.size() != 0) {
    log::error("RPC server on {} was destroyed without close(); {} connection(s) are dropped", address_,
               connections_.size());
    scope_.request_stop();
  }
  poller_.reset();
}

Server Server::listen(Dispatcher& dispatcher, ServerOptions options) {
  auto impl = std::make_shared<Impl>(dispatcher, std::move(options));
  impl->start();
  return Server(std::move(impl));
}

Server::Server(std::shared_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Server::Server(Server&&) noexcept = default;
Server::~Server() {
  if (impl_ != nullptr) impl_->abandon();
}

const std::string& Server::address() const { return impl_->address(); }
std::size_t Server::connections() const { return impl_->connections(); }
Task<> Server::close(std::chrono::nanoseconds grace) { return Impl::close(impl_, grace); }

}  // namespace spdkio::rpc
