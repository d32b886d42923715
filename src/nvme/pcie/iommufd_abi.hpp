// The kernel's interface to I/O address spaces and to VFIO devices in them (Linux 6.6 and newer), which the headers of
// older distributions do not have. Names and layout are the kernel's.
#pragma once

#include <linux/ioctl.h>

#include <cstdint>

namespace spdkio::nvme::pcie::abi {

struct IoasAlloc {
  std::uint32_t size = sizeof(IoasAlloc);
  std::uint32_t flags = 0;
  std::uint32_t out_ioas_id = 0;
};

struct IoasMap {
  std::uint32_t size = sizeof(IoasMap);
  std::uint32_t flags = 0;
  std::uint32_t ioas_id = 0;
  std::uint32_t reserved = 0;
  std::uint64_t user_va = 0;
  std::uint64_t length = 0;
  std::uint64_t iova = 0;  ///< out: where the kernel put it
};

struct IoasUnmap {
  std::uint32_t size = sizeof(IoasUnmap);
  std::uint32_t ioas_id = 0;
  std::uint64_t iova = 0;
  std::uint64_t length = 0;
};

struct DeviceBindIommufd {
  std::uint32_t argsz = sizeof(DeviceBindIommufd);
  std::uint32_t flags = 0;
  std::int32_t iommufd = -1;
  std::uint32_t out_devid = 0;
};

struct DeviceAttachIommufdPt {
  std::uint32_t argsz = sizeof(DeviceAttachIommufdPt);
  std::uint32_t flags = 0;
  std::uint32_t pt_id = 0;
};

static_assert(sizeof(IoasAlloc) == 12 && sizeof(IoasMap) == 40 && sizeof(IoasUnmap) == 24);
static_assert(sizeof(DeviceBindIommufd) == 16 && sizeof(DeviceAttachIommufdPt) == 12);

inline constexpr std::uint32_t ioas_map_writeable = 1u << 1;
inline constexpr std::uint32_t ioas_map_readable = 1u << 2;

inline constexpr unsigned long iommu_ioas_alloc = _IO(';', 0x81);
inline constexpr unsigned long iommu_ioas_map = _IO(';', 0x85);
inline constexpr unsigned long iommu_ioas_unmap = _IO(';', 0x86);
inline constexpr unsigned long vfio_device_bind_iommufd = _IO(';', 100 + 18);
inline constexpr unsigned long vfio_device_attach_iommufd_pt = _IO(';', 100 + 19);

}  // namespace spdkio::nvme::pcie::abi
