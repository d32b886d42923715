#include "engine_spdk/nvmf/listen_address.hpp"

#include <spdkio/base/error.hpp>

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "nvme/tcp/resolve.hpp"
#include "nvme/tcp/socket_address.hpp"

namespace spdkio::spdk {
namespace {

using nvme::tcp::SocketAddress;

nvme::tcp::AddressFamily family_of(const nvme::TransportId& where) noexcept {
  switch (where.adrfam) {
    case nvme::AddressFamily::ipv4: return nvme::tcp::AddressFamily::v4;
    case nvme::AddressFamily::ipv6: return nvme::tcp::AddressFamily::v6;
    default: return nvme::tcp::AddressFamily::any;
  }
}

UniqueFd reserve(const SocketAddress& address) {
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd.get(), address.get(), address.size()) != 0) {
    throw Error::from_errno(errno, "no port for " + address.host()).with_operation("add_listener");
  }
  return fd;
}

template <std::size_t size>
void put(char (&field)[size], std::string_view text, std::string_view name) {
  if (text.size() >= size) {
    throw Error(Misuse::invalid_argument,
                fmt::format("{} has {} characters; SPDK has room for {}", name, text.size(), size - 1));
  }
  *std::ranges::copy(text, field).out = '\0';
}

}  // namespace

spdk_nvme_transport_id to_spdk_address(nvme::TransportType type, std::string_view traddr, std::string_view trsvcid,
                                       std::string_view subnqn, bool v6) {
  spdk_nvme_transport_id id{};
  ::spdk_nvme_trid_populate_transport(
      &id, type == nvme::TransportType::rdma ? SPDK_NVME_TRANSPORT_RDMA : SPDK_NVME_TRANSPORT_TCP);
  id.adrfam = v6 ? SPDK_NVMF_ADRFAM_IPV6 : SPDK_NVMF_ADRFAM_IPV4;
  put(id.traddr, traddr, "traddr");
  put(id.trsvcid, trsvcid, "trsvcid");
  put(id.subnqn, subnqn, "subnqn");
  return id;
}

Task<ListenAddress> listen_address(nvme::TransportId where) {
  ListenAddress address;
  if (where.trsvcid.empty()) where.trsvcid = "4420";
  const std::uint16_t port = SocketAddress::parse_port(where.trsvcid);
  auto resolving = nvme::tcp::resolve(where.traddr, port, family_of(where));
  const std::vector<SocketAddress> found = co_await std::move(resolving);
  const SocketAddress& numeric = found.front();
  if (port == 0) {
    if (where.trtype != nvme::TransportType::tcp) {
      throw Error(Misuse::invalid_argument, "SPDK's target chooses no port: give one").with_operation("add_listener");
    }
    address.reservation = reserve(numeric);
    where.trsvcid = std::to_string(SocketAddress::of_socket(address.reservation.get()).port());
  }
  address.id = to_spdk_address(where.trtype, numeric.host(), where.trsvcid, {}, numeric.is_v6());
  if (where.adrfam == nvme::AddressFamily::unspecified) {
    where.adrfam = numeric.is_v6() ? nvme::AddressFamily::ipv6 : nvme::AddressFamily::ipv4;
  }
  address.where = std::move(where);
  co_return address;
}

}  // namespace spdkio::spdk
