// The Identify command.
#include <spdkio/spec/identify.hpp>
#include <spdkio/spec/identify_controller.hpp>
#include <spdkio/spec/identify_namespace.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

#include "nvmf/admin_commands.hpp"
#include "nvmf/poll_group.hpp"
#include "nvmf/subsystem_state.hpp"
#include "nvmf/target_state.hpp"

namespace spdkio::nvmf {
namespace {

using bdev::IoType;
using spec::IdentifyController;
using spec::IdentifyNamespace;

template <class T>
std::span<const std::byte> bytes_of(const T& value) noexcept {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

bool any_supports(const SubsystemView& view, IoType type) noexcept {
  return std::ranges::any_of(view.namespaces(), [&](const auto& ns) { return ns && ns->traits->supports(type); });
}

IdentifyController identify_controller(const Queue& queue) {
  const Controller& controller = *queue.controller();
  const SubsystemState& subsystem = *controller.subsystem();
  const SubsystemView& view = *queue.view();
  const TransportSettings& transport = queue.group().transport();
  IdentifyController id{};
  id.fr.assign_spaces(SPDKIO_VERSION);
  id.mdts = static_cast<std::uint8_t>(std::countr_zero(queue.group().buffers().largest() / 4096));
  id.cntlid = controller.cntlid();
  id.ver = Controller::version;
  id.aerl = Controller::max_async_events - 1;
  id.lpa = spec::lpa::commands_supported | spec::lpa::extended_data;
  id.elpe = 0;
  id.maxcmd = static_cast<std::uint16_t>(controller.max_queue_entries);
  id.sgls = 1u | spec::sgls::offset_address | spec::sgls::transport_data_block;
  id.subnqn.assign_zeroes(subsystem.nqn());
  id.kas = static_cast<std::uint16_t>(keep_alive_granularity_ms / 100);
  // Generous temperatures, as of a device that has none.
  id.wctemp = std::uint16_t{0x0157};
  id.cctemp = std::uint16_t{0x0175};
  id.ioccsz = static_cast<std::uint32_t>((sizeof(spec::Command) + transport.in_capsule_data_size) / 16);
  id.iorcsz = static_cast<std::uint32_t>(sizeof(spec::Completion) / 16);
  id.msdbd = 1;
  if (controller.is_discovery()) {
    id.cntrltype = spec::ControllerType::discovery;
    id.oaes = spec::async_event_config::discovery_log;
    return id;
  }
  id.sn.assign_spaces(subsystem.serial_number());
  id.mn.assign_spaces(subsystem.model_number());
  id.cmic = 0x3;  // several ports, several controllers
  id.oaes = spec::async_event_config::ns_attributes;
  id.ctratt = spec::ctratt::host_id_128;
  id.cntrltype = spec::ControllerType::io;
  id.acl = 3;
  id.frmw = 0x3;  // one slot, read only
  id.sqes = 0x66;
  id.cqes = 0x44;
  id.nn = subsystem.max_namespaces();
  std::uint16_t oncs = 0;
  if (any_supports(view, IoType::compare)) oncs |= spec::oncs::compare;
  if (any_supports(view, IoType::unmap)) oncs |= spec::oncs::dataset_management;
  if (any_supports(view, IoType::write_zeroes)) oncs |= spec::oncs::write_zeroes;
  if (any_supports(view, IoType::copy)) oncs |= spec::oncs::copy;
  id.oncs = oncs;
  if ((oncs & spec::oncs::copy) != 0) id.cdfs = std::uint16_t{1};
  if (any_supports(view, IoType::compare_and_write)) id.fuses = spec::fuses_compare_and_write;
  const bool cached = std::ranges::any_of(
      view.namespaces(), [](const auto& ns) { return ns && ns->traits->device->geometry().volatile_write_cache; });
  id.vwc = static_cast<std::uint8_t>((cached ? spec::vwc_present : 0) | 0x4);  // Flush of all namespaces: refused
  return id;
}

IdentifyNamespace identify_namespace(const NamespaceTraits& ns) {
  const bdev::Geometry& geometry = ns.device->geometry();
  const std::uint32_t metadata = geometry.metadata_interleaved ? geometry.metadata_size : 0;
  const std::uint64_t blocks = ns.device->num_blocks().value;
  IdentifyNamespace id{};
  id.nsze = blocks;
  id.ncap = blocks;
  id.nuse = blocks;
  id.nmic = spec::nmic_shared;
  id.lbaf[0].data_log2 = static_cast<std::uint8_t>(std::countr_zero(geometry.block_size - metadata));
  id.lbaf[0].metadata_bytes = static_cast<std::uint16_t>(metadata);
  if (metadata != 0) {
    id.flbas = 0x10;
    id.mc = 0x1;
    if (geometry.dif_type != bdev::DifType::none) {
      const auto type = static_cast<unsigned>(geometry.dif_type);
      id.dps = static_cast<std::uint8_t>(type | (geometry.dif_at_start_of_metadata ? 8 : 0));
      id.dpc = static_cast<std::uint8_t>(1u << (type - 1) | (geometry.dif_at_start_of_metadata ? 0x8 : 0x10));
    }
  }
  id.noiob = static_cast<std::uint16_t>(std::min<std::uint32_t>(geometry.optimal_io_boundary, UINT16_MAX));
  id.nguid = ns.nguid;
  id.eui64 = ns.eui64;
  // Deallocated blocks are read as what the device makes of them; Write Zeroes may deallocate.
  if (ns.supports(IoType::write_zeroes)) id.dlfeat = 0x8;
  id.nvmcap.low = blocks * (geometry.block_size - metadata);
  if (geometry.physical_block_size > geometry.block_size) {
    id.nsfeat = spec::nsfeat::optimal_performance;
    const auto per_physical = static_cast<std::uint16_t>(geometry.physical_block_size / geometry.block_size - 1);
    id.npwg = id.npwa = id.npdg = id.npda = per_physical;
  }
  if (ns.supports(IoType::copy)) {
    id.mssrl = std::uint16_t{UINT16_MAX};
    id.mcl = std::uint32_t{UINT16_MAX} * 128;
    id.msrc = 127;
  }
  if (!ns.writable) id.nsattr = spec::nsattr_write_protected;
  return id;
}

spec::NamespaceList active_namespaces(const SubsystemView& view, std::uint32_t above) {
  spec::NamespaceList list{};
  std::size_t count = 0;
  for (const auto& ns : view.namespaces()) {
    if (ns && ns->traits->nsid > above && count < list.nsid.size()) list.nsid[count++] = ns->traits->nsid;
  }
  return list;
}

using IdentifyPage = std::array<std::byte, spec::identify_bytes>;

IdentifyPage ns_descriptors(const NamespaceTraits& ns) {
  IdentifyPage page{};
  std::size_t at = 0;
  const auto add = [&](spec::NsIdType type, const auto& value) {
    const spec::NsIdDescriptor head{.type = static_cast<std::uint8_t>(type),
                                    .length = static_cast<std::uint8_t>(sizeof value)};
    std::memcpy(page.data() + at, &head, sizeof head);
    std::memcpy(page.data() + at + sizeof head, &value, sizeof value);
    at += sizeof head + sizeof value;
  };
  const auto set = [](const auto& bytes) { return std::ranges::any_of(bytes, [](std::uint8_t b) { return b != 0; }); };
  if (set(ns.eui64)) add(spec::NsIdType::eui64, ns.eui64);
  if (set(ns.nguid)) add(spec::NsIdType::nguid, ns.nguid);
  if (!ns.uuid.is_nil()) add(spec::NsIdType::uuid, ns.uuid.bytes);
  add(spec::NsIdType::csi, std::uint8_t{static_cast<std::uint8_t>(spec::Csi::nvm)});
  return page;
}

}  // namespace

void AdminCommands::identify(Queue& queue, Request& request) noexcept {
  if (request.controller_to_host < spec::identify_bytes) return queue.finish(request, sc::sgl_length_invalid);
  request.controller_to_host = spec::identify_bytes;
  const spec::Command& command = request.command;
  const std::uint32_t nsid = command.nsid;
  const auto csi = static_cast<spec::Csi>(command.cdw11.value() >> 24);
  const SubsystemView& view = *queue.view();
  const auto cns = static_cast<spec::Cns>(command.cdw10.value() & 0xFF);
  if (cns == spec::Cns::controller) return answer_data(queue, request, bytes_of(identify_controller(queue)));
  if (queue.controller()->is_discovery()) return queue.finish(request, sc::invalid_field);
  const NamespaceView* const ns = view.find(nsid);
  const auto no_such = [nsid, max = queue.controller()->subsystem()->max_namespaces()] {
    return nsid == 0 || nsid > max;
  };
  switch (cns) {
    case spec::Cns::ns:
      if (ns != nullptr) return answer_data(queue, request, bytes_of(identify_namespace(*ns->traits)));
      if (no_such()) break;
      return answer_data(queue, request, bytes_of(IdentifyNamespace{}));  // valid, but not there
    case spec::Cns::command_set_active_ns_list:
      if (csi != spec::Csi::nvm) return queue.finish(request, sc::invalid_field);
      [[fallthrough]];
    case spec::Cns::active_ns_list:
    case spec::Cns::allocated_ns_list:
      if (nsid >= 0xFFFF'FFFE) break;
      return answer_data(queue, request, bytes_of(active_namespaces(view, nsid)));
    case spec::Cns::ns_id_descriptors:
      if (ns == nullptr) break;
      return answer_data(queue, request, ns_descriptors(*ns->traits));
    case spec::Cns::command_set_ns:
      if (csi != spec::Csi::nvm) return queue.finish(request, sc::invalid_field);
      if (ns == nullptr) break;
      return answer_data(queue, request, bytes_of(spec::IdentifyNamespaceNvm{}));
    case spec::Cns::command_set_controller: {
      if (csi != spec::Csi::nvm) return queue.finish(request, sc::invalid_field);
      return answer_data(queue, request, bytes_of(spec::IdentifyControllerNvm{}));
    }
    case spec::Cns::independent_ns: {
      if (ns == nullptr) break;
      spec::IdentifyNamespaceIndependent id{};
      id.nmic = spec::nmic_shared;
      id.nstat = 1;  // ready
      if (!ns->traits->writable) id.nsattr = spec::nsattr_write_protected;
      return answer_data(queue, request, bytes_of(id));
    }
    default: return queue.finish(request, sc::invalid_field);
  }
  queue.finish(request, sc::invalid_namespace);
}

}  // namespace spdkio::nvmf
