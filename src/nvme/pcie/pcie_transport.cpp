#include "nvme/pcie/pcie_transport.hpp"

#include <spdkio/base/clock.hpp>
#include <spdkio/base/cpu_set.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/engine/engine.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/spec/command.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <fmt/format.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/pci_access.hpp"
#include "nvme/pcie/pcie_queue.hpp"
#include "nvme/pcie/run_blocking.hpp"
#include "nvme/pcie/vfio_function.hpp"

namespace spdkio::nvme::pcie {
namespace {

using spec::Property;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds register_poll_period{1};
constexpr std::uint32_t most_admin_entries = 4096;
/// With fewer I/O queues than cores there is no need for more vectors; a few more are for Threads that share a core.
constexpr unsigned fewest_vectors = 17;

// Identify Controller: where the fields stand.
constexpr std::size_t oacs_offset = 256;
constexpr std::uint16_t oacs_doorbell_buffer_config = 1u << 8;
constexpr std::size_t sgls_offset = 536;
constexpr std::size_t identify_bytes = 4096;

unsigned vectors_wanted() {
  const auto cores = static_cast<unsigned>(CpuSet::allowed().count());
  return std::max(fewest_vectors, 2 * cores + 1);
}

std::uint64_t iova_of(const DmaBuf& memory) {
  const auto range = memory.iova();
  if (!range) throw range.error();
  return static_cast<std::uint64_t>(range->start);
}

template <class Integer>
Integer field(const DmaBuf& memory, std::size_t offset) {
  Integer value;
  std::memcpy(&value, memory.data() + offset, sizeof value);
  return value;
}

}  // namespace

PcieTransport::PcieTransport(PcieTransportOptions options, std::unique_ptr<FunctionSource> source,
                             engine::MemoryService& memory, AdminCommands& admin)
    : options_(std::move(options)), source_(std::move(source)), memory_(memory), admin_(admin) {
  limits_.max_transfer_bytes = prp_max_transfer_bytes;
  limits_.max_segments = sgl_list_entries;
  limits_.buffer_alignment = 4;
}

PcieTransport::~PcieTransport() = default;

Device& PcieTransport::device() const {
  if (device_ != nullptr) return *device_;
  throw Error(std::errc::not_connected, "the device is not open").with_device(options_.name);
}

Task<std::unique_ptr<TransportQueue>> PcieTransport::open_admin(const QueueParameters& parameters,
                                                                QueueEvents& events) {
  auto opening = open_device(parameters, events);
  auto opened = co_await as_result(std::move(opening));
  if (!opened) {
    co_await close();
    throw opened.error().with_device(options_.name);
  }
  co_return std::move(*opened);
}

Task<std::unique_ptr<PcieQueue>> PcieTransport::open_device(const QueueParameters& parameters, QueueEvents& events) {
  FunctionSource& source = *source_;
  const PciAddress address = options_.address;
  auto open = [&source, address] {
    auto opened = source.open(address);
    if (!opened) throw opened.error();
    return std::move(*opened);
  };
  auto opening = run_blocking(std::move(open));
  auto function = co_await std::move(opening);
  device_ =
      std::make_shared<Device>(options_.name, std::move(function), memory_, options_.interrupts ? vectors_wanted() : 0);
  preparation_ = Preparation::due;

  co_await disable();
  limits_.max_queue_entries = device_->capabilities().max_queue_entries();
  limits_.max_io_queues = device_->max_queues() - 1;
  QueueParameters admin = parameters;
  admin.qid = 0;
  admin.entries = std::clamp(parameters.entries, 2u, most_admin_entries);
  auto queue = std::make_unique<PcieQueue>(device_, nullptr, admin, events);
  device_->write32(Property::aqa, (queue->entries() - 1) << 16 | (queue->entries() - 1));
  device_->write64(Property::asq, queue->submission_queue_iova());
  device_->write64(Property::acq, queue->completion_queue_iova());
  if (const auto admitted = device_->admit(); !admitted) throw admitted.error();
  watch();
  co_return queue;
}

/// Whoever had the device before may have left it running, and the kernel's reset on opening is not for every device.
Task<> PcieTransport::disable() {
  const spec::Configuration configuration{device_->read32(Property::cc)};
  if (configuration.enabled()) {
    // One that is starting must come up before it may be stopped.
    co_await as_result(wait_ready(true));
    device_->write32(Property::cc, configuration.disabled().value);
  }
  co_await wait_ready(false);
}

Task<> PcieTransport::wait_ready(bool ready) {
  const auto deadline = steady_clock::now() + milliseconds(device_->capabilities().timeout_ms()) + milliseconds{500};
  while (spec::ControllerStatus{device_->read32(Property::csts)}.ready() != ready) {
    if (steady_clock::now() > deadline) {
      throw Error(std::errc::timed_out, fmt::format("the controller does not become {}", ready ? "ready" : "disabled"));
    }
    co_await sleep_for(register_poll_period);
  }
}

/// One look in a while at what nobody tells us: requests of the system's for the device, and the controller's status.
void PcieTransport::watch() {
  if (options_.health_period.count() == 0) return;
  const std::weak_ptr<Device> weak = device_;
  const auto look = [weak] {
    const auto device = weak.lock();
    if (device == nullptr || device->failed()) return PollResult::idle;
    eventfd_t count = 0;
    if (device->removal_fd() >= 0 && ::eventfd_read(device->removal_fd(), &count) == 0) {
      device->fail(Error(std::errc::no_such_device, "the device is being removed").with_device(device->name()));
      return PollResult::busy;
    }
    try {
      if (spec::ControllerStatus{device->read32(Property::csts)}.fatal()) {
        device->fail(Error(std::errc::io_error, "the controller reports a fatal error of its own (CSTS.CFS)")
                         .with_device(device->name()));
      }
    } catch (const Error& error) {
      device->fail(error);
    }
    return PollResult::idle;
  };
  health_.emplace(look, PollerOptions{.name = options_.name + " health", .period = options_.health_period});
}

// ---- I/O queues

Task<> PcieTransport::identify() {
  DmaBuf data(identify_bytes);
  spec::Command command;
  command.opcode = raw(spec::AdminOpcode::identify);
  command.cdw10 = 1;  // CNS: Identify Controller
  command.dptr[0] = iova_of(data);
  co_await admin_.admin_command(command);
  const std::uint32_t sgls = field<spec::Le32>(data, sgls_offset);
  device_->sgl = static_cast<SglSupport>(std::min(sgls & 3u, 2u));
  const std::uint16_t oacs = field<spec::Le16>(data, oacs_offset);
  offers_shadow_doorbells_ = (oacs & oacs_doorbell_buffer_config) != 0;
}

Task<> PcieTransport::offer_shadow_doorbells() {
  if (!offers_shadow_doorbells_) co_return;
  DmaBuf doorbells(memory_page_bytes);
  DmaBuf event_indexes(memory_page_bytes);
  spec::Command command;
  command.opcode = raw(spec::AdminOpcode::doorbell_buffer_config);
  command.dptr[0] = iova_of(doorbells);
  command.dptr[1] = iova_of(event_indexes);
  const auto answer = co_await as_result(admin_.admin_command(command));
  if (!answer) {
    // Registers do as well.
    log::info("{}: goes without shadow doorbells: {}", options_.name, answer.error().what());
    co_return;
  }
  device_->shadow_doorbells = std::move(doorbells);
  device_->event_indexes = std::move(event_indexes);
}

/// Once for each time the controller was enabled, by whichever Thread makes the first I/O queue.
Task<> PcieTransport::prepare_io(std::chrono::nanoseconds timeout) {
  const auto deadline = steady_clock::now() + timeout;
  while (true) {
    Preparation now = preparation_.load(std::memory_order_acquire);
    if (now == Preparation::done) co_return;
    if (now == Preparation::due && preparation_.compare_exchange_strong(now, Preparation::running)) break;
    if (timeout.count() != 0 && steady_clock::now() > deadline) {
      throw Error(std::errc::timed_out, "another queue is still being prepared").with_device(options_.name);
    }
    co_await sleep_for(register_poll_period);
  }
  try {
    co_await identify();
    co_await offer_shadow_doorbells();
  } catch (...) {
    preparation_.store(Preparation::due, std::memory_order_release);
    throw;
  }
  preparation_.store(Preparation::done, std::memory_order_release);
}

Task<std::unique_ptr<TransportQueue>> PcieTransport::open_io(const QueueParameters& parameters, QueueEvents& events) {
  const auto device = device_;
  if (device == nullptr || parameters.qid >= device->max_queues()) {
    throw Error(Misuse::invalid_argument, fmt::format("queue {} can't be", parameters.qid)).with_device(options_.name);
  }
  co_await prepare_io(parameters.timeout);
  auto queue = std::make_unique<PcieQueue>(device, &admin_, parameters, events);

  spec::Command create_cq;
  create_cq.opcode = raw(spec::AdminOpcode::create_io_cq);
  create_cq.dptr[0] = queue->completion_queue_iova();
  create_cq.cdw10 = (queue->entries() - 1) << 16 | parameters.qid;
  constexpr std::uint32_t contiguous = 1;
  constexpr std::uint32_t interrupts_enabled = 2;
  const bool interrupts = queue->wake_fd() >= 0;
  create_cq.cdw11 = contiguous | (interrupts ? interrupts_enabled | std::uint32_t{parameters.qid} << 16 : 0);

  spec::Command create_sq;
  create_sq.opcode = raw(spec::AdminOpcode::create_io_sq);
  create_sq.dptr[0] = queue->submission_queue_iova();
  create_sq.cdw10 = (queue->entries() - 1) << 16 | parameters.qid;
  create_sq.cdw11 = contiguous | std::uint32_t{parameters.qid} << 16;

  auto created = co_await as_result(admin_.admin_command(create_cq));
  if (created) {
    queue->completion_queue_created();
    created = co_await as_result(admin_.admin_command(create_sq));
  }
  if (!created) {
    // A command without an answer may yet take effect: the memory goes only when the controller can't use it.
    co_await queue->stop(created.error().nvme_status().has_value());
    throw created.error().with_device(options_.name).with_context(fmt::format("creating I/O queue {}", parameters.qid));
  }
  queue->submission_queue_created();
  co_return queue;
}

// ---- properties, and the end

Task<std::uint64_t> PcieTransport::get_property(Property property, unsigned bytes) {
  const Device& open = device();
  co_return bytes == 8 ? open.read64(property) : open.read32(property);
}

Task<> PcieTransport::set_property(Property property, unsigned bytes, std::uint64_t value) {
  Device& open = device();
  if (bytes == 8) {
    open.write64(property, value);
  } else {
    open.write32(property, static_cast<std::uint32_t>(value));
  }
  co_return;
}

Task<> PcieTransport::close() {
  health_.reset();
  if (device_ == nullptr) co_return;
  device_->quiesce();
  auto function = device_->release();
  device_.reset();
  auto give_back = [function = std::move(function)]() mutable { function.reset(); };
  auto giving_back = run_blocking(std::move(give_back));
  const auto given_back = co_await as_result(std::move(giving_back));
  if (!given_back) log::warn("{}: closed where it was: {}", options_.name, given_back.error().what());
}

std::unique_ptr<HostTransport> make_pcie_transport(std::string name, std::string_view traddr, AdminCommands& admin) {
  const auto address = PciAddress::parse(traddr);
  if (!address) {
    throw Error(Misuse::invalid_argument, fmt::format("'{}' is no address of a PCI function", traddr))
        .with_device(name)
        .with_hint("write it as 0000:01:00.0");
  }
  if (!engine::PciAccess::allowed()) {
    throw Error(std::errc::operation_not_permitted, "the environment was started without access to PCI devices")
        .with_operation("nvme connect")
        .with_device(name)
        .with_hint("leave EnvOptions::no_pci (or AppOptions::no_pci) off");
  }
  engine::Engine& engine = engine::Engine::current();
  PcieTransportOptions options;
  options.name = std::move(name);
  options.address = *address;
  options.interrupts = engine.reactors().poll_mode() != PollMode::busy;
  return std::make_unique<PcieTransport>(std::move(options), make_vfio_source(engine.memory()), engine.memory(), admin);
}

}  // namespace spdkio::nvme::pcie
