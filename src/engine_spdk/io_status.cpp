#include "engine_spdk/io_status.hpp"

#include <spdk/nvme_spec.h>

#include <array>
#include <cerrno>
#include <utility>

namespace spdkio::spdk {
namespace {

using bdev::IoStatus;
using bdev::IoType;

constexpr std::array<std::pair<IoType, spdk_bdev_io_type>, 17> types{{
    {IoType::read, SPDK_BDEV_IO_TYPE_READ},
    {IoType::write, SPDK_BDEV_IO_TYPE_WRITE},
    {IoType::write_zeroes, SPDK_BDEV_IO_TYPE_WRITE_ZEROES},
    {IoType::unmap, SPDK_BDEV_IO_TYPE_UNMAP},
    {IoType::flush, SPDK_BDEV_IO_TYPE_FLUSH},
    {IoType::reset, SPDK_BDEV_IO_TYPE_RESET},
    {IoType::compare, SPDK_BDEV_IO_TYPE_COMPARE},
    {IoType::compare_and_write, SPDK_BDEV_IO_TYPE_COMPARE_AND_WRITE},
    {IoType::copy, SPDK_BDEV_IO_TYPE_COPY},
    {IoType::abort, SPDK_BDEV_IO_TYPE_ABORT},
    {IoType::seek_data, SPDK_BDEV_IO_TYPE_SEEK_DATA},
    {IoType::seek_hole, SPDK_BDEV_IO_TYPE_SEEK_HOLE},
    {IoType::zone_report, SPDK_BDEV_IO_TYPE_GET_ZONE_INFO},
    {IoType::zone_management, SPDK_BDEV_IO_TYPE_ZONE_MANAGEMENT},
    {IoType::zone_append, SPDK_BDEV_IO_TYPE_ZONE_APPEND},
    {IoType::nvme_admin, SPDK_BDEV_IO_TYPE_NVME_ADMIN},
    {IoType::nvme_io, SPDK_BDEV_IO_TYPE_NVME_IO},
}};
static_assert(types.size() == bdev::io_type_count);

constexpr std::array<std::pair<bdev::ZoneAction, spdk_bdev_zone_action>, 5> zone_actions{{
    {bdev::ZoneAction::close, SPDK_BDEV_ZONE_CLOSE},
    {bdev::ZoneAction::finish, SPDK_BDEV_ZONE_FINISH},
    {bdev::ZoneAction::open, SPDK_BDEV_ZONE_OPEN},
    {bdev::ZoneAction::reset, SPDK_BDEV_ZONE_RESET},
    {bdev::ZoneAction::offline, SPDK_BDEV_ZONE_OFFLINE},
}};

using ZoneState = bdev::ZoneInfo::State;
/// SPDK numbers the states in its own way, and has one more for conventional zones.
constexpr std::array<std::pair<ZoneState, spdk_bdev_zone_state>, 7> zone_states{{
    {ZoneState::empty, SPDK_BDEV_ZONE_STATE_EMPTY},
    {ZoneState::implicitly_open, SPDK_BDEV_ZONE_STATE_IMP_OPEN},
    {ZoneState::explicitly_open, SPDK_BDEV_ZONE_STATE_EXP_OPEN},
    {ZoneState::closed, SPDK_BDEV_ZONE_STATE_CLOSED},
    {ZoneState::read_only, SPDK_BDEV_ZONE_STATE_READ_ONLY},
    {ZoneState::full, SPDK_BDEV_ZONE_STATE_FULL},
    {ZoneState::offline, SPDK_BDEV_ZONE_STATE_OFFLINE},
}};

}  // namespace

// SPDK's public interface gives an errno and an NVMe status for every failure, and says of neither whether the device
// said it. Its stand-ins are EIO, and Internal Device Error; what else it gives is the device's.
IoStatus status_of(const spdk_bdev_io& io) noexcept {
  int aio_result = 0;
  ::spdk_bdev_io_get_aio_status(&io, &aio_result);
  if (aio_result != 0 && aio_result != -EIO) return IoStatus::system(aio_result < 0 ? -aio_result : aio_result);
  std::uint32_t cdw0 = 0;
  int sct = 0;
  int sc = 0;
  ::spdk_bdev_io_get_nvme_status(&io, &cdw0, &sct, &sc);
  if (sct == SPDK_NVME_SCT_GENERIC && sc == SPDK_NVME_SC_INTERNAL_DEVICE_ERROR) return IoStatus::system(EIO);
  return IoStatus::nvme({.sct = static_cast<std::uint8_t>(sct), .sc = static_cast<std::uint8_t>(sc)});
}

void complete_with(spdk_bdev_io& io, IoStatus status, std::uint32_t cdw0) noexcept {
  switch (status.kind()) {
    case IoStatus::Kind::success: ::spdk_bdev_io_complete_nvme_status(&io, cdw0, SPDK_NVME_SCT_GENERIC, 0); break;
    case IoStatus::Kind::nvme: {
      const NvmeStatus nvme = status.nvme_status();
      ::spdk_bdev_io_complete_nvme_status(&io, cdw0, nvme.sct, nvme.sc);
      break;
    }
    case IoStatus::Kind::misuse: ::spdk_bdev_io_complete_aio_status(&io, -EINVAL); break;
    case IoStatus::Kind::system:
      if (status.value() == ECANCELED) {
        ::spdk_bdev_io_complete(&io, SPDK_BDEV_IO_STATUS_ABORTED);
      } else {
        ::spdk_bdev_io_complete_aio_status(&io, -status.value());
      }
      break;
  }
}

spdk_bdev_io_type to_spdk(IoType type) noexcept { return types[static_cast<std::size_t>(type)].second; }

std::optional<IoType> from_spdk(spdk_bdev_io_type type) noexcept {
  for (const auto& [ours, theirs] : types) {
    if (theirs == type) return ours;
  }
  return std::nullopt;
}

spdk_bdev_zone_action to_spdk(bdev::ZoneAction action) noexcept {
  for (const auto& [ours, theirs] : zone_actions) {
    if (ours == action) return theirs;
  }
  return SPDK_BDEV_ZONE_CLOSE;
}

bdev::ZoneAction from_spdk(spdk_bdev_zone_action action) noexcept {
  for (const auto& [ours, theirs] : zone_actions) {
    if (theirs == action) return ours;
  }
  return bdev::ZoneAction::close;
}

bdev::ZoneInfo from_spdk(const spdk_bdev_zone_info& zone, std::uint64_t zone_size) noexcept {
  bdev::ZoneInfo info{.zone = {Lba{zone.zone_id}, BlockCount{zone_size}},
                      .capacity = BlockCount{zone.capacity},
                      .write_pointer = Lba{zone.write_pointer},
                      .state = ZoneState::full};  // a conventional zone has no write pointer to follow
  for (const auto& [ours, theirs] : zone_states) {
    if (theirs == zone.state) info.state = ours;
  }
  return info;
}

spdk_bdev_zone_info to_spdk(const bdev::ZoneInfo& zone) noexcept {
  spdk_bdev_zone_info info{};
  info.zone_id = zone.zone.first.value;
  info.write_pointer = zone.write_pointer.value;
  info.capacity = zone.capacity.value;
  info.type = SPDK_BDEV_ZONE_TYPE_SEQWR;
  for (const auto& [ours, theirs] : zone_states) {
    if (ours == zone.state) info.state = theirs;
  }
  return info;
}

}  // namespace spdkio::spdk
