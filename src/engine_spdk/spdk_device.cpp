#include "engine_spdk/spdk_device.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>

#include <spdk/bdev_module.h>
#include <spdk/bdev_zone.h>
#include <spdk/uuid.h>

#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include "engine_spdk/io_status.hpp"
#include "engine_spdk/spdk_channel.hpp"

namespace spdkio::spdk {
namespace {

bdev::DifType dif_type_of(const spdk_bdev& bdev) {
  switch (::spdk_bdev_get_dif_type(&bdev)) {
    case SPDK_DIF_TYPE1: return bdev::DifType::type1;
    case SPDK_DIF_TYPE2: return bdev::DifType::type2;
    case SPDK_DIF_TYPE3: return bdev::DifType::type3;
    default: return bdev::DifType::none;
  }
}

bdev::Geometry geometry_of(const spdk_bdev& bdev) {
  const bool zoned = ::spdk_bdev_is_zoned(&bdev);
  bdev::Geometry geometry{.block_size = ::spdk_bdev_get_block_size(&bdev),
                          .num_blocks = ::spdk_bdev_get_num_blocks(&bdev),
                          .metadata_size = ::spdk_bdev_get_md_size(&bdev),
                          .metadata_interleaved = ::spdk_bdev_is_md_interleaved(&bdev),
                          .dif_type = dif_type_of(bdev),
                          .dif_at_start_of_metadata = ::spdk_bdev_is_dif_head_of_md(&bdev),
                          .buffer_alignment = ::spdk_bdev_get_buf_align(&bdev),
                          .physical_block_size = ::spdk_bdev_get_physical_block_size(&bdev),
                          .optimal_io_boundary = ::spdk_bdev_get_optimal_io_boundary(&bdev),
                          .write_unit_blocks = ::spdk_bdev_get_write_unit_size(&bdev),
                          .volatile_write_cache = ::spdk_bdev_has_write_cache(&bdev)};
  if (geometry.write_unit_blocks == 0) geometry.write_unit_blocks = 1;
  if (zoned) {
    geometry.zone_size_blocks = ::spdk_bdev_get_zone_size(&bdev);
    geometry.max_open_zones = ::spdk_bdev_get_max_open_zones(&bdev);
    geometry.max_active_zones = ::spdk_bdev_get_max_active_zones(&bdev);
    geometry.optimal_open_zones = ::spdk_bdev_get_optimal_open_zones(&bdev);
  }
  return geometry;
}

/// What the module does itself. Two of SPDK's say that they can do all that their base can, and fail what they do not
/// send on.
bool module_can(spdk_bdev* bdev, bdev::IoType type) noexcept {
  using bdev::IoType;
  if (!::spdk_bdev_io_type_supported(bdev, to_spdk(type))) return false;
  const std::string_view module = ::spdk_bdev_get_module_name(bdev);
  if (module != "passthru" && module != "delay") return true;
  switch (type) {
    case IoType::read:
    case IoType::write:
    case IoType::write_zeroes:
    case IoType::unmap:
    case IoType::flush:
    case IoType::reset:
    case IoType::abort: return true;
    case IoType::compare:
    case IoType::copy: return module == "passthru";
    default: return false;
  }
}

/// What SPDK's bdev layer makes of reads and writes where the module says that it can't.
bool is_emulated(spdk_bdev* bdev, bdev::IoType type) noexcept {
  using bdev::IoType;
  const auto can = [bdev](IoType wanted) { return ::spdk_bdev_io_type_supported(bdev, to_spdk(wanted)); };
  switch (type) {
    case IoType::compare:
    case IoType::seek_data:
    case IoType::seek_hole: return can(IoType::read) && !can(type);
    case IoType::copy:
    case IoType::compare_and_write: return can(IoType::read) && can(IoType::write) && !can(type);
    default: return false;
  }
}

}  // namespace

SpdkDevice::SpdkDevice(spdk_bdev& bdev, Control& control, BdevEvents& events)
    : Device(::spdk_bdev_get_name(&bdev), ::spdk_bdev_get_product_name(&bdev), geometry_of(bdev)),
      bdev_(&bdev),
      control_(control),
      events_(events) {
  Uuid uuid;
  std::memcpy(uuid.bytes.data(), ::spdk_bdev_get_uuid(&bdev), uuid.bytes.size());
  set_uuid(uuid);
  const spdk_bdev_alias* alias = nullptr;
  TAILQ_FOREACH(alias, &bdev.aliases, tailq) { add_alias(alias->alias.name); }
}

std::unique_ptr<SpdkDevice> SpdkDevice::open(spdk_bdev& bdev, Control& control, BdevEvents& events) {
  std::unique_ptr<SpdkDevice> device(new SpdkDevice(bdev, control, events));
  const int rc = ::spdk_bdev_open_ext(device->name().c_str(), false, on_event, device.get(), &device->descriptor_);
  if (rc != 0) {
    throw Error::from_errno(-rc, "SPDK does not open it")
        .with_operation("spdk_bdev_open_ext")
        .with_device(device->name());
  }
  return device;
}

SpdkDevice::~SpdkDevice() {
  if (descriptor_ == nullptr) return;
  if (::spdk_thread_is_app_thread(nullptr)) {
    ::spdk_bdev_close(descriptor_);  // it was never registered with us
  } else {
    log::error("SPDK's descriptor of '{}' was not closed", name());
  }
}

void SpdkDevice::on_event(spdk_bdev_event_type type, spdk_bdev* bdev, void* context) noexcept {
  auto& device = *static_cast<SpdkDevice*>(context);
  switch (type) {
    case SPDK_BDEV_EVENT_REMOVE: device.events_.bdev_removed(device.name()); break;
    case SPDK_BDEV_EVENT_RESIZE:
      device.events_.bdev_resized(device.name(), BlockCount{::spdk_bdev_get_num_blocks(bdev)});
      break;
    case SPDK_BDEV_EVENT_MEDIA_MANAGEMENT: {
      std::array<spdk_bdev_media_event, 32> events;
      for (std::size_t count = events.size(); count == events.size();) {
        count = ::spdk_bdev_get_media_events(device.descriptor_, events.data(), events.size());
        for (std::size_t i = 0; i < count; ++i) {
          device.events_.bdev_media(device.name(), {Lba{events[i].offset}, BlockCount{events[i].num_blocks}});
        }
      }
      break;
    }
    default: break;
  }
}

bool SpdkDevice::supports(bdev::IoType type) const noexcept {
  return module_can(bdev_, type) || is_emulated(bdev_, type);
}

std::unique_ptr<bdev::Channel> SpdkDevice::make_channel() { return std::make_unique<SpdkChannel>(*this); }

Task<> SpdkDevice::shut_down() {
  auto close = [this] { ::spdk_bdev_close(std::exchange(descriptor_, nullptr)); };
  auto closed = control_.on_app(close);
  co_await std::move(closed);
}

}  // namespace spdkio::spdk
