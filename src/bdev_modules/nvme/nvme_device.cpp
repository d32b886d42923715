#include "bdev_modules/nvme/nvme_device.hpp"

#include <spdkio/spec/identify_controller.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

#include "bdev_modules/nvme/attached_controller.hpp"
#include "bdev_modules/nvme/nvme_channel.hpp"
#include "bdev_modules/nvme/thread_queue.hpp"

namespace spdkio::bdev::nvme_disk {
namespace {

bool has_write_cache(const nvme::ControllerCore& controller) {
  return (controller.identify()->vwc & spec::vwc_present) != 0;
}

Geometry geometry_of(const nvme::NamespaceInfo& info, const nvme::ControllerCore& controller) {
  Geometry geometry;
  geometry.block_size = info.block_size + (info.metadata_interleaved ? info.metadata_size : 0);
  geometry.num_blocks = info.num_blocks;
  geometry.metadata_size = info.metadata_size;
  geometry.metadata_interleaved = info.metadata_interleaved;
  geometry.dif_type = static_cast<DifType>(std::min<std::uint32_t>(info.protection_type, 3));
  geometry.dif_at_start_of_metadata = info.protection_first;
  geometry.optimal_io_boundary = info.optimal_io_boundary;
  geometry.volatile_write_cache = has_write_cache(controller);
  geometry.read_only = info.read_only;
  geometry.buffer_alignment = controller.buffer_alignment();
  if ((info.identify.nsfeat & spec::nsfeat::optimal_performance) != 0) {
    geometry.physical_block_size = info.block_size * (info.identify.npwg + 1u);
  }
  return geometry;
}

}  // namespace

NvmeDevice::NvmeDevice(std::string name, std::shared_ptr<AttachedController> controller,
                       std::shared_ptr<nvme::NamespaceState> space)
    : Device(std::move(name), "NVMe disk", geometry_of(*space->info(), *controller->core())),
      controller_(std::move(controller)),
      space_(std::move(space)) {
  const auto info = space_->info();
  Uuid uuid = info->uuid;
  if (uuid.is_nil()) std::ranges::copy(info->nguid, uuid.bytes.begin());
  set_uuid(uuid);
}

bool NvmeDevice::supports(IoType type) const noexcept {
  const auto oncs = space_->oncs.load(std::memory_order_relaxed);
  switch (type) {
    case IoType::read:
    case IoType::write:
    case IoType::flush:
    case IoType::reset:
    case IoType::abort:
    case IoType::nvme_admin:
    case IoType::nvme_io: return true;
    case IoType::unmap: return (oncs & spec::oncs::dataset_management) != 0;
    case IoType::write_zeroes: return (oncs & spec::oncs::write_zeroes) != 0;
    case IoType::compare: return (oncs & spec::oncs::compare) != 0;
    case IoType::copy: return (oncs & spec::oncs::copy) != 0;
    case IoType::compare_and_write: return space_->fused_compare_and_write.load(std::memory_order_relaxed);
    default: return false;
  }
}

std::unique_ptr<Channel> NvmeDevice::make_channel() {
  const auto& core = controller_->core();
  return std::make_unique<NvmeChannel>(ThreadQueue::of(core), space_, has_write_cache(*core));
}

nlohmann::ordered_json NvmeDevice::driver_specific() const {
  const auto& core = controller_->core();
  const auto data = core->identify();
  const nvme::TransportId& id = core->settings().id;
  nlohmann::ordered_json trid{{"trtype", to_string(id.trtype)}};
  if (id.trtype == nvme::TransportType::pcie) {
    trid["traddr"] = id.traddr;
  } else {
    trid["adrfam"] = to_string(id.adrfam);
    trid["traddr"] = id.traddr;
    trid["trsvcid"] = id.trsvcid;
    trid["subnqn"] = id.subnqn;
  }
  const bool shared = (space_->info()->identify.nmic & spec::nmic_shared) != 0;
  const spec::SpecVersion version = core->version();
  nlohmann::ordered_json entry{
      {"trid", std::move(trid)},
      {"ctrlr_data",
       {{"cntlid", core->controller_id()},
        {"vendor_id", fmt::format("{:#06x}", data->vid.value())},
        {"model_number", data->mn.to_string()},
        {"serial_number", data->sn.to_string()},
        {"firmware_revision", data->fr.to_string()},
        {"subnqn", data->subnqn.to_string()},
        {"oacs",
         {{"security", (data->oacs & spec::oacs::security) != 0},
          {"format", (data->oacs & spec::oacs::format) != 0},
          {"firmware", (data->oacs & spec::oacs::firmware) != 0},
          {"ns_manage", (data->oacs & spec::oacs::ns_management) != 0}}},
        {"multi_ctrlr", (data->cmic & 2) != 0},
        {"ana_reporting", (data->cmic & 8) != 0}}},
      {"vs", {{"nvme_version", fmt::format("{}.{}", version.major_version(), version.minor_version())}}},
      {"ns_data", {{"id", space_->nsid}, {"can_share", shared}}}};
  return {{"nvme", nlohmann::ordered_json::array({std::move(entry)})}, {"mp_policy", "active_passive"}};
}

nlohmann::ordered_json NvmeDevice::config() const { return controller_->config_of(space_->nsid); }

}  // namespace spdkio::bdev::nvme_disk
