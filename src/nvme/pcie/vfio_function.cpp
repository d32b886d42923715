#include "nvme/pcie/vfio_function.hpp"

#include <spdkio/base/log.hpp>

#include <fmt/format.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "nvme/pcie/dma_space.hpp"

namespace spdkio::nvme::pcie {
namespace {

Error failed(const char* call, std::string message) {
  return Error::from_errno(errno, std::move(message)).with_operation(call);
}

class VfioFunction final : public Function {
 public:
  explicit VfioFunction(DeviceFile file) : file_(std::move(file)) {}
  ~VfioFunction() override {
    if (!registers_.empty()) ::munmap(registers_.data(), registers_.size());
    // The device before what it stands on.
    file_.fd.reset();
  }

  Result<> start() {
    vfio_device_info info{};
    info.argsz = sizeof info;
    if (::ioctl(fd(), VFIO_DEVICE_GET_INFO, &info) != 0) return std::unexpected(failed("VFIO_DEVICE_GET_INFO", {}));
    if ((info.flags & VFIO_DEVICE_FLAGS_PCI) == 0 || info.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX) {
      return std::unexpected(Error(std::errc::no_such_device, "it is no PCI function"));
    }
    auto config = region(VFIO_PCI_CONFIG_REGION_INDEX);
    if (!config) return std::unexpected(config.error());
    config_offset_ = config->offset;
    // Whoever had it before us may have left it able to write to memory.
    if (auto set = change_command(PCI_COMMAND_MEMORY, PCI_COMMAND_MASTER); !set) return set;
    if (auto mapped = map_registers(); !mapped) return mapped;
    for (const unsigned index : {VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX}) {
      vectors_ = interrupt_count(index);
      vector_index_ = index;
      if (vectors_ != 0) break;
    }
    return listen_for_removal();
  }

  std::span<std::byte> registers() const noexcept override { return registers_; }

  Result<> set_bus_master(bool on) noexcept override {
    return on ? change_command(PCI_COMMAND_MASTER, 0) : change_command(0, PCI_COMMAND_MASTER);
  }

  unsigned vector_count() const noexcept override { return vectors_; }

  Result<> connect_vectors(std::span<const int> events) override { return connect(vector_index_, events); }

  int removal_fd() const noexcept override { return removal_.get(); }

 private:
  int fd() const noexcept { return file_.fd.get(); }

  Result<vfio_region_info> region(std::uint32_t index, std::vector<std::byte>* whole = nullptr) const {
    vfio_region_info info{};
    info.argsz = sizeof info;
    info.index = index;
    if (::ioctl(fd(), VFIO_DEVICE_GET_REGION_INFO, &info) != 0) {
      return std::unexpected(failed("VFIO_DEVICE_GET_REGION_INFO", fmt::format("region {}", index)));
    }
    if (whole != nullptr && info.argsz > sizeof info) {
      whole->resize(info.argsz);
      std::memcpy(whole->data(), &info, sizeof info);
      if (::ioctl(fd(), VFIO_DEVICE_GET_REGION_INFO, whole->data()) != 0) whole->clear();
    }
    return info;
  }

  /// How much of the region can be mapped from its start.
  static std::size_t mappable(const vfio_region_info& info, const std::vector<std::byte>& whole) {
    if ((info.flags & VFIO_REGION_INFO_FLAG_MMAP) == 0) return 0;
    std::size_t offset = (info.flags & VFIO_REGION_INFO_FLAG_CAPS) != 0 ? info.cap_offset : 0;
    while (offset != 0 && offset + sizeof(vfio_region_info_cap_sparse_mmap) <= whole.size()) {
      vfio_region_info_cap_sparse_mmap capability;
      std::memcpy(&capability, whole.data() + offset, sizeof capability);
      if (capability.header.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP) {
        for (std::uint32_t i = 0; i < capability.nr_areas; ++i) {
          vfio_region_sparse_mmap_area area{};
          const std::size_t place = offset + sizeof capability + i * sizeof area;
          if (place + sizeof area > whole.size()) break;
          std::memcpy(&area, whole.data() + place, sizeof area);
          if (area.offset == 0) return area.size;
        }
        return 0;
      }
      offset = capability.header.next;
    }
    return info.size;
  }

  Result<> map_registers() {
    std::vector<std::byte> whole;
    const auto info = region(VFIO_PCI_BAR0_REGION_INDEX, &whole);
    if (!info) return std::unexpected(info.error());
    const std::size_t size = mappable(*info, whole);
    if (size == 0) return std::unexpected(Error(std::errc::not_supported, "its registers can't be mapped"));
    void* const memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd(), static_cast<off_t>(info->offset));
    if (memory == MAP_FAILED) return std::unexpected(failed("mmap", "cannot map its registers"));
    registers_ = {static_cast<std::byte*>(memory), size};
    return {};
  }

  Result<> change_command(std::uint16_t set, std::uint16_t clear) const noexcept {
    const auto place = static_cast<off_t>(config_offset_ + PCI_COMMAND);
    std::uint16_t value = 0;
    const auto read = [&] { return ::pread(fd(), &value, sizeof value, place) == sizeof value; };
    bool good = read();
    if (good) {
      const auto wanted = static_cast<std::uint16_t>((value & ~clear) | set);
      // Reading it back pushes what the device wrote before in front of it.
      good = ::pwrite(fd(), &wanted, sizeof wanted, place) == sizeof wanted && read();
      if (good && ((value & clear) != 0 || (value & set) != set)) {
        return std::unexpected(
            Error(std::errc::io_error, "the device does not take a PCI command").with_operation("pwrite"));
      }
    }
    if (!good) return std::unexpected(failed("pwrite", "cannot write its configuration space"));
    return {};
  }

  unsigned interrupt_count(std::uint32_t index) const noexcept {
    vfio_irq_info info{};
    info.argsz = sizeof info;
    info.index = index;
    if (::ioctl(fd(), VFIO_DEVICE_GET_IRQ_INFO, &info) != 0) return 0;
    return (info.flags & VFIO_IRQ_INFO_EVENTFD) != 0 ? info.count : 0;
  }

  Result<> connect(std::uint32_t index, std::span<const int> events) const {
    std::vector<std::byte> request(sizeof(vfio_irq_set) + events.size_bytes());
    vfio_irq_set head{};
    head.argsz = static_cast<std::uint32_t>(request.size());
    head.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    head.index = index;
    head.count = static_cast<std::uint32_t>(events.size());
    std::memcpy(request.data(), &head, sizeof head);
    std::memcpy(request.data() + sizeof head, events.data(), events.size_bytes());
    if (::ioctl(fd(), VFIO_DEVICE_SET_IRQS, request.data()) != 0) {
      return std::unexpected(
          failed("VFIO_DEVICE_SET_IRQS", fmt::format("cannot connect {} interrupts", events.size())));
    }
    return {};
  }

  /// Both when the system asks for the device and when the bus reports an error that it can't get over.
  Result<> listen_for_removal() {
    removal_ = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!removal_) return std::unexpected(failed("eventfd", {}));
    const int event = removal_.get();
    for (const std::uint32_t index : {VFIO_PCI_REQ_IRQ_INDEX, VFIO_PCI_ERR_IRQ_INDEX}) {
      if (interrupt_count(index) == 0) continue;
      if (auto connected = connect(index, std::span(&event, 1)); !connected) return connected;
    }
    return {};
  }

  DeviceFile file_;
  std::uint64_t config_offset_ = 0;
  std::span<std::byte> registers_;
  unsigned vectors_ = 0;
  std::uint32_t vector_index_ = VFIO_PCI_MSIX_IRQ_INDEX;
  UniqueFd removal_;
};

class VfioSource final : public FunctionSource {
 public:
  explicit VfioSource(engine::MemoryService& memory) : memory_(memory) {}

  Result<std::unique_ptr<Function>> open(const PciAddress& address) override {
    auto file = open_in_shared_space(bus_, address, memory_);
    if (!file) return std::unexpected(file.error());
    auto function = std::make_unique<VfioFunction>(std::move(*file));
    if (auto started = function->start(); !started) {
      return std::unexpected(started.error().with_context(fmt::format("opening PCI function {}", address.to_string())));
    }
    return function;
  }

 private:
  engine::MemoryService& memory_;
  PciBus bus_;
};

}  // namespace

std::unique_ptr<FunctionSource> make_vfio_source(engine::MemoryService& memory) {
  return std::make_unique<VfioSource>(memory);
}

}  // namespace spdkio::nvme::pcie
