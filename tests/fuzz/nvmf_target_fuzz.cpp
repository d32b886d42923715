// What a host may send to a target: each input is a connection, from its first byte or from behind a Connect command.
// The target must neither crash nor hang nor keep anything of it.
#include <spdkio/app/env.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/bdev_modules/malloc.hpp>
#include <spdkio/nvmf/target.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/thread.hpp>
#include <spdkio/spec/fabrics.hpp>
#include <spdkio/spec/registers.hpp>
#include <spdkio/spec/tcp_pdu.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace spdkio;
namespace fabrics = spec::fabrics;
namespace tcp = spec::tcp;

constexpr std::string_view subnqn = "nqn.2026-11.io.spdkio:fuzz";

template <class T>
void append(std::vector<std::byte>& bytes, const T& value) {
  const auto* const at = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), at, at + sizeof value);
}

void append_capsule(std::vector<std::byte>& bytes, const spec::Command& command, std::span<const std::byte> data = {}) {
  tcp::CapsuleCmd pdu;
  pdu.common.type = tcp::PduType::capsule_cmd;
  pdu.common.hlen = sizeof pdu;
  pdu.common.pdo = data.empty() ? 0 : sizeof pdu;
  pdu.common.plen = static_cast<std::uint32_t>(sizeof pdu + data.size());
  pdu.command = command;
  append(bytes, pdu);
  bytes.insert(bytes.end(), data.begin(), data.end());
}

/// A handshake and a Connect, as a right host begins.
std::vector<std::byte> prelude(std::uint16_t qid, std::uint16_t cntlid) {
  std::vector<std::byte> bytes;
  tcp::IcReq request;
  request.common.type = tcp::PduType::ic_req;
  request.common.hlen = sizeof request;
  request.common.plen = static_cast<std::uint32_t>(sizeof request);
  append(bytes, request);
  fabrics::ConnectCommand connect;
  connect.qid = qid;
  connect.sqsize = std::uint16_t{31};
  fabrics::ConnectData data;
  data.cntlid = cntlid;
  fabrics::set_field_text(data.subnqn, subnqn);
  fabrics::set_field_text(data.hostnqn, "nqn.2026-11.io.spdkio:host");
  connect.sgl = spec::SglDescriptor::in_capsule(0, sizeof data);
  append_capsule(bytes, std::bit_cast<spec::Command>(connect),
                 std::as_bytes(std::span<const fabrics::ConnectData, 1>(&data, 1)));
  if (qid == 0) {
    fabrics::PropertySetCommand enable;
    enable.offset = fabrics::property::cc;
    enable.value = std::uint64_t{spec::Configuration::enable(0).value};
    append_capsule(bytes, std::bit_cast<spec::Command>(enable));
  }
  return bytes;
}

/// One target for all inputs, polled by this OS thread.
class Server {
 public:
  Server() : env_(Env::start({.name = "fuzz", .no_pci = true, .no_huge = true})), thread_(Thread::attach("fuzz")) {
    log::set_level(log::Level::off);
    block_on(set_up());
    // A controller that I/O queues may join.
    control_ = connect();
    send(control_, prelude(0, 0xFFFF));
    settle();
    const auto controllers = subsystem_->controllers();
    if (controllers.size() != 1) std::abort();
    cntlid_ = controllers[0].cntlid;
  }
  void serve(unsigned choice, std::span<const std::byte> bytes) {
    const int fd = connect();
    std::vector<std::byte> all;
    if ((choice & 3) == 1) all = prelude(0, 0xFFFF);
    if ((choice & 3) == 2) all = prelude(1, cntlid_);
    all.insert(all.end(), bytes.begin(), bytes.end());
    send(fd, all);
    ::shutdown(fd, SHUT_WR);
    // The target sees the end and closes.
    std::size_t rounds = 0;
    while (block_on(target_->connections()).size() > 1) {
      settle();
      drain(fd);
      if (++rounds > 100'000) std::abort();
    }
    ::close(fd);
  }

 private:
  Task<> set_up() {
    bdev::MallocOptions disk;
    disk.name = "M0";
    disk.num_blocks = 2048;
    disk.block_size = 512;
    auto making = bdev::create_malloc(disk);
    co_await std::move(making);
    nvmf::TargetOptions options;
    auto creating = nvmf::Target::create(options);
    target_.emplace(co_await std::move(creating));
    nvmf::TransportOptions transport;
    transport.connect_timeout = std::chrono::hours{1};
    transport.buffer_bytes = 1 << 20;
    const nvmf::Transport tcp_transport = nvmf::Transport::tcp(transport);
    co_await target_->add_transport(tcp_transport);
    nvmf::SubsystemOptions subsystem_options;
    subsystem_options.allow_any_host = true;
    auto making_subsystem = target_->create_subsystem(subnqn, subsystem_options);
    subsystem_.emplace(co_await std::move(making_subsystem));
    auto adding = subsystem_->add_namespace("M0");
    co_await std::move(adding);
    co_await subsystem_->start();
    const nvme::TransportId where = nvme::TransportId::tcp("127.0.0.1", 0);
    auto listening = subsystem_->add_listener(where);
    const nvme::TransportId real = co_await std::move(listening);
    port_ = real.port();
  }
  int connect() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port_);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) std::abort();
    const std::size_t before = block_on(target_->connections()).size();
    while (block_on(target_->connections()).size() == before) settle();
    return fd;
  }
  void send(int fd, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno != EAGAIN) return;
      if (sent > 0) bytes = bytes.subspan(static_cast<std::size_t>(sent));
      settle();
      drain(fd);
    }
  }
  static void drain(int fd) {
    char dropped[65536];
    while (::recv(fd, dropped, sizeof dropped, MSG_DONTWAIT) > 0) {
    }
  }
  void settle() {
    for (int i = 0; i < 16; ++i) thread_.poll();
  }

  Env env_;
  Thread thread_;
  std::optional<nvmf::Target> target_;
  std::optional<nvmf::Subsystem> subsystem_;
  std::uint16_t port_ = 0;
  int control_ = -1;
  std::uint16_t cntlid_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Never destroyed: at the end of the process what it needs of this OS thread has gone before.
  static Server& server = *new Server;
  if (size < 1 || size > 65536) return 0;
  server.serve(data[0], std::as_bytes(std::span(data + 1, size - 1)));
  return 0;
}
