#include "nvme/test_target.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace spdkio::nvme::test {

FakeTarget::FakeTarget(FakeTargetOptions given)
    : options(std::move(given)), wake_(::eventfd(0, EFD_CLOEXEC)), storage_(options.num_blocks * options.block_size) {
  listen_again();
  acceptor_ = std::thread([this] { accept_loop(); });
}

FakeTarget::~FakeTarget() {
  ending_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
  acceptor_.join();
  drop_connections();
  for (std::thread& thread : threads_) thread.join();
}

void FakeTarget::listen_again() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port_);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd.get(), 64) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no port for the fake target");
  }
  port_ = ntohs(address.sin_port);
  listener_ = std::move(fd);
}

void FakeTarget::accept_loop() {
  while (!ending_) {
    pollfd fds[2] = {{listener_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    ::poll(fds, 2, -1);
    if (ending_) return;
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd || !accepting_) continue;
    ++connections;
    auto connection = std::make_shared<FakeConnection>(*this, std::move(fd));
    const std::lock_guard lock(mutex_);
    open_.push_back(connection);
    threads_.emplace_back([connection] { connection->run(); });
  }
}

void FakeTarget::drop_connections() {
  const std::lock_guard lock(mutex_);
  for (const auto& connection : open_) connection->hang_up();
  open_.clear();
}

void FakeTarget::set_hook(Hook hook) {
  auto shared = std::make_shared<const Hook>(std::move(hook));
  const std::lock_guard lock(mutex_);
  hook_ = std::move(shared);
}

std::shared_ptr<const FakeTarget::Hook> FakeTarget::hook() {
  const std::lock_guard lock(mutex_);
  return hook_;
}

void FakeTarget::set_accepting(bool accepting) { accepting_ = accepting; }

bool FakeTarget::raise_event(spec::AsyncEvent event) {
  std::shared_ptr<FakeConnection> connection;
  spec::Command command;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_events_.empty()) return false;
    const auto [waiting, cid] = waiting_events_.back();
    waiting_events_.pop_back();
    const auto found = std::ranges::find_if(open_, [&](const auto& open) { return open.get() == waiting; });
    if (found == open_.end()) return false;
    connection = *found;
    command.cid = cid;
  }
  connection->respond(command, event.encode());
  return true;
}

void FakeTarget::resize(std::uint64_t num_blocks) {
  const std::lock_guard lock(mutex_);
  storage_.resize(num_blocks * options.block_size);
}

std::vector<std::byte> FakeTarget::content(std::uint64_t offset, std::size_t length) {
  const std::lock_guard lock(mutex_);
  const auto at = storage_.begin() + static_cast<std::ptrdiff_t>(offset);
  return {at, at + static_cast<std::ptrdiff_t>(length)};
}

}  // namespace spdkio::nvme::test
