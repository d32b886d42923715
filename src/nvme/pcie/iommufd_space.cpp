// An I/O address space of the kernel's, with devices by their own files.
#include <spdkio/base/log.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "nvme/pcie/dma_space.hpp"
#include "nvme/pcie/iommufd_abi.hpp"

namespace spdkio::nvme::pcie {
namespace {

Error failed(const char* call, std::string message) {
  return Error::from_errno(errno, std::move(message)).with_operation(call);
}

class IommufdSpace final : public DmaSpace,
                           public std::enable_shared_from_this<IommufdSpace>,
                           private engine::DmaMapper {
 public:
  explicit IommufdSpace(engine::MemoryService& memory) : memory_(memory) {}
  ~IommufdSpace() override {
    if (!mapping_) return;
    [[maybe_unused]] const auto unmapped = memory_.set_dma_mapper(nullptr);
  }

  DmaSpaceKind kind() const noexcept override { return DmaSpaceKind::iommufd; }

  Result<DeviceFile> open(const PciBus& bus, const PciAddress& address) override {
    if (auto ready = allocate_space(); !ready) return std::unexpected(ready.error());
    const std::string path = fmt::format("/dev/vfio/devices/{}", bus.vfio_device(address));
    UniqueFd device(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!device) {
      const int error = errno;
      Error why = Error::from_errno(error, fmt::format("cannot open {}", path)).with_operation("open");
      if (error == EACCES) why = why.with_hint(fmt::format("give the user access: chown USER {}", path));
      return std::unexpected(why);
    }
    abi::DeviceBindIommufd bind;
    bind.iommufd = iommu_.get();
    if (::ioctl(device.get(), abi::vfio_device_bind_iommufd, &bind) != 0) {
      const int error = errno;
      Error why =
          Error::from_errno(error, fmt::format("cannot take {}", path)).with_operation("VFIO_DEVICE_BIND_IOMMUFD");
      if (error == EBUSY) why = why.with_hint("another process has the device open");
      return std::unexpected(why);
    }
    abi::DeviceAttachIommufdPt attach;
    attach.pt_id = ioas_;
    if (::ioctl(device.get(), abi::vfio_device_attach_iommufd_pt, &attach) != 0) {
      return std::unexpected(failed("VFIO_DEVICE_ATTACH_IOMMUFD_PT", fmt::format("no address space for {}", path)));
    }
    // Behind the first device: it may narrow the addresses that the kernel chooses from.
    if (!mapping_) {
      if (auto mapped = memory_.set_dma_mapper(this); !mapped) return std::unexpected(mapped.error());
      mapping_ = true;
    }
    return DeviceFile{.keep = shared_from_this(), .fd = std::move(device)};
  }

 private:
  Result<> allocate_space() {
    if (iommu_) return {};
    UniqueFd iommu(::open("/dev/iommu", O_RDWR | O_CLOEXEC));
    if (!iommu) return std::unexpected(failed("open", "cannot open /dev/iommu"));
    abi::IoasAlloc space;
    if (::ioctl(iommu.get(), abi::iommu_ioas_alloc, &space) != 0) {
      return std::unexpected(failed("IOMMU_IOAS_ALLOC", "no I/O address space"));
    }
    ioas_ = space.out_ioas_id;
    iommu_ = std::move(iommu);
    return {};
  }

  Result<engine::Iova> map(std::byte* memory, std::size_t size) override {
    abi::IoasMap request;
    request.flags = abi::ioas_map_readable | abi::ioas_map_writeable;
    request.ioas_id = ioas_;
    request.user_va = reinterpret_cast<std::uintptr_t>(memory);
    request.length = size;
    if (::ioctl(iommu_.get(), abi::iommu_ioas_map, &request) != 0) {
      const int error = errno;
      Error why = Error::from_errno(error, "the IOMMU refuses").with_operation("IOMMU_IOAS_MAP");
      if (error == ENOMEM) why = why.with_hint("raise the limit of locked memory: ulimit -l unlimited");
      return std::unexpected(why);
    }
    return engine::Iova{request.iova};
  }

  void unmap(std::byte*, std::size_t size, engine::Iova iova) noexcept override {
    abi::IoasUnmap request;
    request.ioas_id = ioas_;
    request.iova = static_cast<std::uint64_t>(iova);
    request.length = size;
    if (::ioctl(iommu_.get(), abi::iommu_ioas_unmap, &request) != 0) {
      log::error("cannot take {} bytes of memory from the IOMMU: {}", size, std::strerror(errno));
    }
  }

  engine::MemoryService& memory_;
  UniqueFd iommu_;
  std::uint32_t ioas_ = 0;
  bool mapping_ = false;
};

}  // namespace

std::shared_ptr<DmaSpace> make_iommufd_space(engine::MemoryService& memory) {
  return std::make_shared<IommufdSpace>(memory);
}

}  // namespace spdkio::nvme::pcie
