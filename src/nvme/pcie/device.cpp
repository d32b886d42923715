#include "nvme/pcie/device.hpp"

#include <spdkio/base/log.hpp>

#include <fmt/format.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "nvme/pcie/mmio.hpp"

namespace spdkio::nvme::pcie {
namespace {

constexpr std::size_t first_doorbell = 0x1000;
constexpr std::uint32_t all_ones = 0xFFFF'FFFF;

}  // namespace

Device::Device(std::string name, std::unique_ptr<Function> function, engine::MemoryService& memory,
               unsigned max_vectors)
    : name_(std::move(name)), function_(std::move(function)), memory_(memory) {
  if (function_->registers().size() < first_doorbell + 16) {
    throw Error(std::errc::no_such_device,
                fmt::format("its register space has {} bytes, too few for NVMe", function_->registers().size()))
        .with_device(name_);
  }
  capabilities_ = {read64(spec::Property::cap)};
  if (capabilities_.min_page_size() > memory_page_bytes) {
    throw Error(std::errc::not_supported,
                fmt::format("the controller's smallest memory page is {} bytes", capabilities_.min_page_size()))
        .with_device(name_);
  }
  const unsigned vectors = std::min(function_->vector_count(), max_vectors);
  if (vectors == 0) return;
  std::vector<int> numbers;
  for (unsigned i = 0; i < vectors; ++i) {
    events_.emplace_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!events_.back()) {
      throw Error::from_errno(errno, "no event descriptor for an interrupt vector").with_device(name_);
    }
    numbers.push_back(events_.back().get());
  }
  if (const auto connected = function_->connect_vectors(numbers); !connected) {
    throw connected.error().with_device(name_);
  }
}

std::uint32_t Device::read32(spec::Property property) const {
  const std::uint32_t value = pcie::read32(register_at(function_->registers(), property));
  // No register of a controller that is there has this value, except for those that can't be read at all.
  if (value == all_ones) {
    throw Error(std::errc::no_such_device, "the device does not answer on the bus any more").with_device(name_);
  }
  return value;
}

std::uint64_t Device::read64(spec::Property property) const {
  const std::uint64_t value = pcie::read64(register_at(function_->registers(), property));
  if (value == ~std::uint64_t{0}) {
    throw Error(std::errc::no_such_device, "the device does not answer on the bus any more").with_device(name_);
  }
  return value;
}

void Device::write32(spec::Property property, std::uint32_t value) noexcept {
  write_barrier();
  pcie::write32(register_at(function_->registers(), property), value);
}

void Device::write64(spec::Property property, std::uint64_t value) noexcept {
  write_barrier();
  pcie::write64(register_at(function_->registers(), property), value);
}

Doorbell Device::doorbell(std::uint32_t index) const noexcept {
  std::byte* const place =
      function_->registers().data() + first_doorbell + std::size_t{index} * capabilities_.doorbell_stride();
  const std::size_t offset = std::size_t{index} * capabilities_.doorbell_stride();
  if (shadow_doorbells.empty() || offset + 4 > shadow_doorbells.size()) return Doorbell{place};
  return Doorbell{place, shadow_doorbells.data() + offset, event_indexes.data() + offset};
}

Doorbell Device::submission_doorbell(std::uint16_t qid) const noexcept { return doorbell(2u * qid); }
Doorbell Device::completion_doorbell(std::uint16_t qid) const noexcept { return doorbell(2u * qid + 1); }

std::uint32_t Device::max_queues() const noexcept {
  const std::size_t doorbells = (function_->registers().size() - first_doorbell) / capabilities_.doorbell_stride();
  return static_cast<std::uint32_t>(std::min<std::size_t>(doorbells / 2, 65536));
}

int Device::event_of(std::uint16_t qid) const noexcept { return qid < events_.size() ? events_[qid].get() : -1; }

void Device::quiesce() noexcept {
  if (function_ == nullptr) return;
  if (const auto done = function_->set_bus_master(false); !done) {
    // A device that is gone from the bus has no bus to write on.
    log::warn("{}: {}", name_, done.error().what());
  }
}

void Device::fail(const Error& why) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (why_) return;
    why_ = why;
  }
  failed_.store(true, std::memory_order_release);
  for (const UniqueFd& event : events_) ::eventfd_write(event.get(), 1);
}

Error Device::why() const {
  const std::lock_guard lock(mutex_);
  return *why_;
}

}  // namespace spdkio::nvme::pcie
