#include "engine_spdk/nvme/spdk_transport.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/with_timeout.hpp>
#include <spdkio/spec/registers.hpp>

#include <fmt/format.h>

#include <optional>

#include "engine_spdk/nvme/admin_queue.hpp"
#include "engine_spdk/nvme/connect_attempt.hpp"
#include "engine_spdk/nvme/connect_options.hpp"
#include "engine_spdk/nvme/io_queue.hpp"
#include "nvme/tcp/resolve.hpp"

namespace spdkio::spdk {

using nvme::QueueEvents;
using nvme::QueueParameters;
using nvme::TransportQueue;

SpdkTransport::SpdkTransport(const nvme::ControllerSettings& settings, ThreadHandle driver,
                             std::shared_ptr<AddressBook> book, LightThreads& threads)
    : settings_(settings), driver_(std::move(driver)), book_(std::move(book)), threads_(threads) {
  limits_.fabrics = settings.id.trtype != nvme::TransportType::pcie;
  limits_.driven = true;
}

Task<std::unique_ptr<TransportQueue>> SpdkTransport::open_admin(const QueueParameters& parameters,
                                                                QueueEvents& events) {
  auto attaching = with_timeout(parameters.timeout, attach());
  auto attached = co_await as_result(std::move(attaching));
  if (!attached) throw attached.error().with_context(fmt::format("connecting to {}", settings_.name));
  limits_ = (*attached)->limits();
  {
    const std::lock_guard lock(mutex_);
    controller_ = *attached;
  }
  std::unique_ptr<TransportQueue> queue = std::make_unique<AdminQueue>(*attached, parameters, events);
  co_return std::move(queue);
}

std::shared_ptr<SpdkController> SpdkTransport::controller() const {
  const std::lock_guard lock(mutex_);
  return controller_;
}

Task<std::shared_ptr<SpdkController>> SpdkTransport::attach() {
  auto looking = addresses();
  const std::vector<spdk_nvme_transport_id> all = co_await std::move(looking);
  std::optional<Error> last;
  for (const spdk_nvme_transport_id& id : all) {
    const auto attempt = std::make_shared<ConnectAttempt>(settings_, id, book_);
    auto running = attempt->run(driver_);
    auto attached = co_await as_result(std::move(running));
    if (attached) co_return std::move(*attached);
    last = attached.error();
    if (last->code() == std::errc::operation_canceled) break;
  }
  throw last.value_or(Error(std::errc::host_unreachable, "the host has no address").with_device(settings_.name));
}

/// SPDK wants numbers.
Task<std::vector<spdk_nvme_transport_id>> SpdkTransport::addresses() const {
  const nvme::TransportId& id = settings_.id;
  std::vector<spdk_nvme_transport_id> all;
  if (id.trtype == nvme::TransportType::pcie) {
    all.push_back(to_spdk_id(settings_, id.traddr, spdk_nvmf_adrfam{}));
    co_return all;
  }
  using Family = nvme::tcp::AddressFamily;
  const Family family = id.adrfam == nvme::AddressFamily::ipv4   ? Family::v4
                        : id.adrfam == nvme::AddressFamily::ipv6 ? Family::v6
                                                                 : Family::any;
  auto resolving = nvme::tcp::resolve(id.traddr, id.port(), family);
  const auto found = co_await std::move(resolving);
  for (const nvme::tcp::SocketAddress& address : found) {
    all.push_back(
        to_spdk_id(settings_, address.host(), address.is_v6() ? SPDK_NVMF_ADRFAM_IPV6 : SPDK_NVMF_ADRFAM_IPV4));
  }
  co_return all;
}

Task<std::unique_ptr<TransportQueue>> SpdkTransport::open_io(const QueueParameters& parameters, QueueEvents& events) {
  auto queue = std::make_unique<IoQueue>(controller(), threads_.here(), parameters, events);
  auto connecting = with_timeout(parameters.timeout, queue->connect());
  const auto connected = co_await as_result(std::move(connecting));
  if (!connected) {
    auto stopping = queue->stop(false);
    co_await std::move(stopping);
    throw connected.error().with_context(fmt::format("opening queue {} to {}", parameters.qid, settings_.name));
  }
  queue->hand_over();
  std::unique_ptr<TransportQueue> opened = std::move(queue);
  co_return std::move(opened);
}

Task<std::uint64_t> SpdkTransport::get_property(spec::Property property, unsigned) {
  const auto attached = controller();
  if (attached == nullptr) {
    throw Error(std::errc::not_connected, "there is no connection").with_device(settings_.name);
  }
  switch (property) {
    case spec::Property::cap: co_return attached->capabilities();
    case spec::Property::vs: co_return attached->version();
    default: break;
  }
  throw Error(Misuse::not_supported, "SPDK's driver has this property to itself").with_device(settings_.name);
}

Task<> SpdkTransport::set_property(spec::Property, unsigned, std::uint64_t) {
  throw Error(Misuse::not_supported, "SPDK's driver sets the properties").with_device(settings_.name);
  co_return;
}

std::uint16_t SpdkTransport::controller_id() const noexcept {
  const auto attached = controller();
  return attached != nullptr ? attached->controller_id() : 0xFFFF;
}

}  // namespace spdkio::spdk
