// VFIO containers and groups: with an IOMMU of type 1, or without any.
#include <spdkio/base/log.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nvme/pcie/dma_space.hpp"
#include "nvme/pcie/iova_allocator.hpp"

namespace spdkio::nvme::pcie {
namespace {

constexpr std::uint64_t page_bytes = 4096;
constexpr std::uint64_t hugepage_bytes = 2 << 20;
/// What every IOMMU translates; only for kernels that do not say what theirs does.
constexpr std::uint64_t safe_last_address = (std::uint64_t{1} << 39) - 1;
/// Interrupt messages of x86 go there; kernels that say what is usable leave it out.
constexpr IovaWindow safe_windows[] = {{.first = 0, .last = 0xFEDF'FFFF},
                                       {.first = 0xFEF0'0000, .last = safe_last_address}};

Error failed(const char* call, std::string message) {
  return Error::from_errno(errno, std::move(message)).with_operation(call);
}

/// The windows out of an answer of VFIO_IOMMU_GET_INFO; empty: it does not say.
std::vector<IovaWindow> windows_in(const std::vector<std::byte>& info) {
  std::vector<IovaWindow> windows;
  vfio_iommu_type1_info head{};
  std::memcpy(&head, info.data(), sizeof head);
  if ((head.flags & VFIO_IOMMU_INFO_CAPS) == 0) return windows;
  std::size_t offset = head.cap_offset;
  while (offset != 0 && offset + sizeof(vfio_iommu_type1_info_cap_iova_range) <= info.size()) {
    vfio_iommu_type1_info_cap_iova_range capability;
    std::memcpy(&capability, info.data() + offset, sizeof capability);
    if (capability.header.id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) {
      for (std::uint32_t i = 0; i < capability.nr_iovas; ++i) {
        const std::size_t place = offset + sizeof capability + i * sizeof(vfio_iova_range);
        if (place + sizeof(vfio_iova_range) > info.size()) break;
        vfio_iova_range range{};
        std::memcpy(&range, info.data() + place, sizeof range);
        windows.push_back({.first = range.start, .last = range.end});
      }
    }
    offset = capability.header.next;
  }
  return windows;
}

struct Group {
  UniqueFd fd;
};

class ContainerSpace final : public DmaSpace,
                             public std::enable_shared_from_this<ContainerSpace>,
                             private engine::DmaMapper {
 public:
  ContainerSpace(DmaSpaceKind kind, engine::MemoryService& memory) : kind_(kind), memory_(memory) {}
  ~ContainerSpace() override {
    if (!mapping_) return;
    [[maybe_unused]] const auto unmapped = memory_.set_dma_mapper(nullptr);
  }

  DmaSpaceKind kind() const noexcept override { return kind_; }

  Result<DeviceFile> open(const PciBus& bus, const PciAddress& address) override {
    const auto number = bus.iommu_group(address);
    if (!number) return std::unexpected(Error(std::errc::no_such_device, "it has no IOMMU group any more"));
    auto group = open_group(*number);
    if (!group) return std::unexpected(group.error());
    if (!mapping_ && kind_ == DmaSpaceKind::type1) {
      if (auto started = start_mapping(); !started) return std::unexpected(started.error());
    }
    const std::string name = address.to_string();
    UniqueFd device(::ioctl((*group)->fd.get(), VFIO_GROUP_GET_DEVICE_FD, name.c_str()));
    if (!device)
      return std::unexpected(failed("VFIO_GROUP_GET_DEVICE_FD", fmt::format("cannot open PCI function {}", name)));
    // The group goes last: without a group the container forgets its IOMMU, and what is mapped with it.
    struct Keep {
      std::shared_ptr<Group> group;
      std::shared_ptr<ContainerSpace> space;
    };
    auto keep = std::make_shared<Keep>(std::move(*group), shared_from_this());
    return DeviceFile{.keep = std::move(keep), .fd = std::move(device)};
  }

 private:
  Result<> open_container() {
    if (container_) return {};
    UniqueFd container(::open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
    if (!container) {
      return std::unexpected(failed("open", "cannot open /dev/vfio/vfio").with_hint("as root: modprobe vfio-pci"));
    }
    if (::ioctl(container.get(), VFIO_GET_API_VERSION) != VFIO_API_VERSION) {
      return std::unexpected(Error(std::errc::not_supported, "the kernel speaks another version of VFIO"));
    }
    container_ = std::move(container);
    return {};
  }

  Result<std::shared_ptr<Group>> open_group(const PciBus::Group& number) {
    if (auto known = groups_[number.number].lock()) return known;
    if (auto container = open_container(); !container) return std::unexpected(container.error());
    const std::string path =
        fmt::format("/dev/vfio/{}{}", kind_ == DmaSpaceKind::no_iommu ? "noiommu-" : "", number.number);
    auto group = std::make_shared<Group>(UniqueFd(::open(path.c_str(), O_RDWR | O_CLOEXEC)));
    if (!group->fd) {
      const int error = errno;
      Error why = Error::from_errno(error, fmt::format("cannot open {}", path)).with_operation("open");
      if (error == EBUSY) why = why.with_hint("another process has a device of this IOMMU group open");
      if (error == EPERM && kind_ == DmaSpaceKind::no_iommu)
        why = why.with_hint("devices without an IOMMU need CAP_SYS_RAWIO");
      if (error == EACCES) why = why.with_hint(fmt::format("give the user access: chown USER {}", path));
      return std::unexpected(why);
    }
    vfio_group_status status{};
    status.argsz = sizeof status;
    if (::ioctl(group->fd.get(), VFIO_GROUP_GET_STATUS, &status) != 0) {
      return std::unexpected(failed("VFIO_GROUP_GET_STATUS", path));
    }
    if ((status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0) {
      return std::unexpected(
          Error(std::errc::device_or_resource_busy,
                fmt::format("kernel drivers have other devices of IOMMU group {}", number.number))
              .with_hint(fmt::format("bind all of /sys/kernel/iommu_groups/{}/devices to vfio-pci", number.number)));
    }
    const int container = container_.get();
    if (::ioctl(group->fd.get(), VFIO_GROUP_SET_CONTAINER, &container) != 0) {
      return std::unexpected(
          failed("VFIO_GROUP_SET_CONTAINER", fmt::format("cannot use IOMMU group {}", number.number)));
    }
    if (!iommu_set_) {
      const unsigned long type = kind_ == DmaSpaceKind::no_iommu ? VFIO_NOIOMMU_IOMMU : VFIO_TYPE1v2_IOMMU;
      if (::ioctl(container_.get(), VFIO_SET_IOMMU, type) != 0) {
        return std::unexpected(failed("VFIO_SET_IOMMU", fmt::format("cannot set up {}", to_string(kind_)))
                                   .with_hint("as root: modprobe vfio_iommu_type1"));
      }
      iommu_set_ = true;
    }
    groups_[number.number] = group;
    return group;
  }

  Result<> start_mapping() {
    std::vector<std::byte> info(sizeof(vfio_iommu_type1_info));
    for (int attempt = 0; attempt < 2; ++attempt) {
      vfio_iommu_type1_info head{};
      head.argsz = static_cast<std::uint32_t>(info.size());
      std::memcpy(info.data(), &head, sizeof head);
      if (::ioctl(container_.get(), VFIO_IOMMU_GET_INFO, info.data()) != 0) {
        return std::unexpected(failed("VFIO_IOMMU_GET_INFO", "the IOMMU does not say what it can do"));
      }
      std::memcpy(&head, info.data(), sizeof head);
      if (head.argsz <= info.size()) break;
      info.resize(head.argsz);
    }
    const auto windows = windows_in(info);
    if (windows.empty()) {
      iovas_.emplace(safe_windows, safe_last_address);
    } else {
      iovas_.emplace(windows, ~std::uint64_t{0});
    }
    if (auto mapped = memory_.set_dma_mapper(this); !mapped) return mapped;
    mapping_ = true;
    return {};
  }

  Result<engine::Iova> map(std::byte* memory, std::size_t size) override {
    const auto iova = iovas_->allocate(size, size >= hugepage_bytes ? hugepage_bytes : page_bytes);
    if (!iova)
      return std::unexpected(Error(std::errc::not_enough_memory, "no more addresses that the IOMMU translates"));
    vfio_iommu_type1_dma_map request{};
    request.argsz = sizeof request;
    request.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
    request.vaddr = reinterpret_cast<std::uintptr_t>(memory);
    request.iova = *iova;
    request.size = size;
    if (::ioctl(container_.get(), VFIO_IOMMU_MAP_DMA, &request) != 0) {
      const int error = errno;
      iovas_->free(*iova, size);
      Error why = Error::from_errno(error, "the IOMMU refuses").with_operation("VFIO_IOMMU_MAP_DMA");
      if (error == ENOMEM) why = why.with_hint("raise the limit of locked memory: ulimit -l unlimited");
      return std::unexpected(why);
    }
    return engine::Iova{*iova};
  }

  void unmap(std::byte*, std::size_t size, engine::Iova iova) noexcept override {
    vfio_iommu_type1_dma_unmap request{};
    request.argsz = sizeof request;
    request.iova = static_cast<std::uint64_t>(iova);
    request.size = size;
    if (::ioctl(container_.get(), VFIO_IOMMU_UNMAP_DMA, &request) != 0) {
      log::error("cannot take {} bytes of memory from the IOMMU: {}", size, std::strerror(errno));
    }
    iovas_->free(static_cast<std::uint64_t>(iova), size);
  }

  const DmaSpaceKind kind_;
  engine::MemoryService& memory_;
  UniqueFd container_;
  bool iommu_set_ = false;
  bool mapping_ = false;
  std::map<int, std::weak_ptr<Group>> groups_;
  std::optional<IovaAllocator> iovas_;
};

}  // namespace

std::shared_ptr<DmaSpace> make_container_space(DmaSpaceKind kind, engine::MemoryService& memory) {
  return std::make_shared<ContainerSpace>(kind, memory);
}

}  // namespace spdkio::nvme::pcie
