// How SPDK's answers and ours say the same.
#pragma once

#include <spdkio/bdev/io.hpp>
#include <spdkio/bdev/io_status.hpp>

#include <spdk/bdev.h>
#include <spdk/bdev_module.h>

#include <optional>

namespace spdkio::spdk {

/// Of a request that SPDK has ended without success, before it is given back.
bdev::IoStatus status_of(const spdk_bdev_io& io) noexcept;

/// Ends a request of SPDK's with our answer.
void complete_with(spdk_bdev_io& io, bdev::IoStatus status, std::uint32_t cdw0) noexcept;

/// SPDK's name of an operation.
spdk_bdev_io_type to_spdk(bdev::IoType type) noexcept;
std::optional<bdev::IoType> from_spdk(spdk_bdev_io_type type) noexcept;

spdk_bdev_zone_action to_spdk(bdev::ZoneAction action) noexcept;
bdev::ZoneAction from_spdk(spdk_bdev_zone_action action) noexcept;
bdev::ZoneInfo from_spdk(const spdk_bdev_zone_info& zone, std::uint64_t zone_size) noexcept;
spdk_bdev_zone_info to_spdk(const bdev::ZoneInfo& zone) noexcept;

}  // namespace spdkio::spdk
