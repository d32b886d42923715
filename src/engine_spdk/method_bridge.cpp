#include "engine_spdk/method_bridge.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/base/unique_fd.hpp>
#include <spdkio/rpc/error.hpp>
#include <spdkio/rpc/json_framer.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <fmt/format.h>
#include <spdk/version.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <utility>

namespace spdkio::spdk {
namespace {

/// How often a caller looks whether the answer is there; SPDK is polled at every round meanwhile.
constexpr std::chrono::microseconds look_period{50};
/// SPDK's answers are as long as its lists of devices.
constexpr rpc::JsonLimits answer_limits{.max_depth = 64, .max_bytes = 64u << 20, .max_values = 1u << 22};

UniqueFd connect_to(const std::string& address) {
  UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (fd.get() < 0) throw Error::from_errno(errno, "no socket to SPDK's RPC server").with_operation("socket");
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address.c_str(), address.size() + 1);  // its length was checked when it was made
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    throw Error::from_errno(errno, "SPDK's RPC server does not answer").with_operation("connect").with_device(address);
  }
  return fd;
}

/// Counts the calls in progress, so that the server is polled while there are any.
class Busy {
 public:
  Busy(std::size_t& calls, Poller& poller) : calls_(calls), poller_(poller) {
    if (calls_++ == 0) poller_.resume();
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  ~Busy() {
    if (--calls_ == 0) poller_.pause();
  }

 private:
  std::size_t& calls_;
  Poller& poller_;
};

}  // namespace

MethodBridge::MethodBridge(Control& control) : control_(control) {
  std::string pattern = (std::filesystem::temp_directory_path() / "spdkio-spdk-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw Error::from_errno(errno, "no folder for SPDK's RPC socket").with_operation("mkdtemp").with_device(pattern);
  }
  folder_ = pattern;
  address_ = folder_ + "/rpc";
  if (address_.size() >= sizeof(sockaddr_un::sun_path)) {
    throw Error(std::errc::filename_too_long, "the path of SPDK's RPC socket is too long")
        .with_device(address_)
        .with_hint("set TMPDIR to a shorter path");
  }
  auto opened = [this] { open(); };
  block_on(control_.on_app(opened));
  try {
    block_on(check_version());
    block_on(list_methods());
  } catch (...) {
    auto closed = [this] { close(); };
    block_on(control_.on_app(closed));
    throw;
  }
}

MethodBridge::~MethodBridge() {
  try {
    auto closed = [this] { close(); };
    block_on(control_.on_app(closed));
  } catch (const Error& error) {
    log::error("SPDK's RPC server does not end in order: {}", error.what());
  }
}

void MethodBridge::open() {
  server_ = ::spdk_rpc_server_listen(address_.c_str());
  if (server_ == nullptr) {
    throw Error(std::errc::io_error, "SPDK does not listen for RPC calls")
        .with_operation("spdk_rpc_server_listen")
        .with_device(address_);
  }
  poller_.emplace(
      [this] {
        control_.app().make_current();
        ::spdk_rpc_server_accept(server_);
        return calls_ > 0 ? PollResult::busy : PollResult::idle;
      },
      PollerOptions{.name = "spdk_rpc"});
  poller_->pause();
}

void MethodBridge::close() {
  poller_.reset();
  if (server_ != nullptr) ::spdk_rpc_server_close(std::exchange(server_, nullptr));
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void MethodBridge::set_runtime(bool runtime) { ::spdk_rpc_set_state(runtime ? SPDK_RPC_RUNTIME : SPDK_RPC_STARTUP); }

/// Linked to shared libraries, it may be loaded with others than it was compiled for: their structures differ.
Task<> MethodBridge::check_version() {
  auto asking = call("spdk_get_version", Json());
  const Json answer = co_await std::move(asking);
  const Json& fields = answer.at("fields");
  const auto major = fields.at("major").get<int>();
  const auto minor = fields.at("minor").get<int>();
  if (major == SPDK_VERSION_MAJOR && minor == SPDK_VERSION_MINOR) co_return;
  throw Error(Misuse::invalid_argument, fmt::format("the engine was built for SPDK {}.{:02} and runs with {}.{:02}",
                                                    SPDK_VERSION_MAJOR, SPDK_VERSION_MINOR, major, minor))
      .with_operation("spdk_get_version")
      .with_hint("build it again, or let the dynamic linker find the other SPDK");
}

Task<> MethodBridge::list_methods() {
  auto listing = call("rpc_get_methods", Json());
  const Json names = co_await std::move(listing);
  std::vector<Method> methods;
  auto describe = [&] {
    for (const Json& name : names) {
      std::uint32_t states = 0;
      Method method{.name = name.get<std::string>()};
      if (::spdk_rpc_get_method_state_mask(method.name.c_str(), &states) != 0) continue;
      method.at_startup = (states & SPDK_RPC_STARTUP) != 0;
      method.at_runtime = (states & SPDK_RPC_RUNTIME) != 0;
      methods.push_back(std::move(method));
    }
  };
  auto described = control_.on_app(std::ref(describe));
  co_await std::move(described);
  methods_ = std::move(methods);
}

Task<Json> MethodBridge::call(std::string method, Json params) {
  auto here = [this, &method, &params] { return call_here(std::move(method), std::move(params)); };
  auto asked = control_.handle().call(std::ref(here));
  co_return co_await std::move(asked);
}

Task<Json> MethodBridge::call_here(std::string method, Json params) {
  Json request = {{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}};
  if (!params.is_null()) request["params"] = std::move(params);
  auto exchanged = exchange(rpc::dump_json(request));
  Json answer = co_await std::move(exchanged);
  const auto error = answer.find("error");
  if (error != answer.end()) {
    const Result<rpc::RpcError> told = rpc::RpcError::from_json(*error);
    if (told) throw rpc::RpcError(*told);
    throw Error(told.error()).with_operation(method);
  }
  const auto result = answer.find("result");
  co_return result == answer.end() ? Json() : std::move(*result);
}

Task<Json> MethodBridge::exchange(std::string request) {
  if (server_ == nullptr) throw Error(Misuse::not_started, "SPDK's RPC server has ended").with_operation("RPC");
  const Busy busy(calls_, *poller_);
  const UniqueFd fd = connect_to(address_);
  for (std::string_view left = request; !left.empty();) {
    const ssize_t sent = ::send(fd.get(), left.data(), left.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      left.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EINTR) {
      co_await sleep_for(look_period);
    } else {
      throw Error::from_errno(errno, "SPDK's RPC server does not take the request").with_operation("send");
    }
  }
  rpc::JsonFramer framer(answer_limits);
  std::array<char, 16384> bytes;
  for (;;) {
    const ssize_t got = ::recv(fd.get(), bytes.data(), bytes.size(), 0);
    if (got > 0) {
      framer.push({bytes.data(), static_cast<std::size_t>(got)});
      Result<std::optional<Json>> value = framer.next();
      if (!value) throw Error(value.error()).with_operation("answer of SPDK's RPC server");
      if (*value) co_return std::move(**value);
    } else if (got == 0) {
      throw Error(std::errc::connection_reset, "SPDK's RPC server closed the connection").with_operation("recv");
    } else if (errno == EAGAIN || errno == EINTR) {
      co_await sleep_for(look_period);
    } else {
      throw Error::from_errno(errno, "no answer from SPDK's RPC server").with_operation("recv");
    }
  }
}

}  // namespace spdkio::spdk
