// Which namespaces a controller has, and what they are.
#include <spdkio/base/error_context.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/spec/identify.hpp>
#include <spdkio/spec/identify_namespace.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include "nvme/controller_core.hpp"

namespace spdkio::nvme {
namespace {

/// More than any controller has; a list that goes on beyond it is not to be believed.
constexpr std::size_t most_namespaces = 65536;

bool same(const NamespaceInfo& a, const NamespaceInfo& b) noexcept {
  return a.block_size == b.block_size && a.num_blocks == b.num_blocks && a.metadata_size == b.metadata_size &&
         a.metadata_interleaved == b.metadata_interleaved && a.protection_type == b.protection_type &&
         a.read_only == b.read_only;
}

bool another(const NamespaceInfo& a, const NamespaceInfo& b) noexcept {
  return a.uuid != b.uuid || a.nguid != b.nguid || a.eui64 != b.eui64;
}

}  // namespace

std::shared_ptr<const NamespaceInfo> NamespaceState::info() const {
  const std::lock_guard lock(mutex_);
  return info_;
}

void NamespaceState::set_info(std::shared_ptr<const NamespaceInfo> info) {
  const std::lock_guard lock(mutex_);
  info_ = std::move(info);
}

Task<> ControllerCore::rescan() {
  const ErrorContext doing("looking for the namespaces of {}", settings_.name);
  auto until = until_ready();
  co_await std::move(until);
  auto scanning = scan_namespaces();
  co_await std::move(scanning);
}

Task<> ControllerCore::scan_namespaces() {
  auto guard = co_await scanning_.lock();
  auto listing = read_active_list();
  const std::vector<std::uint32_t> active = co_await std::move(listing);
  const bool first = connections() == 0;
  const auto report = [&](ControllerEvent::Kind kind, std::uint32_t nsid) {
    if (first) return;
    log::info("{}: namespace {} {}", settings_.name, nsid,
              kind == ControllerEvent::Kind::namespace_added     ? "was added"
              : kind == ControllerEvent::Kind::namespace_removed ? "was removed"
                                                                 : "has changed");
    ControllerEvent event;
    event.kind = kind;
    event.nsid = nsid;
    add_event(std::move(event));
  };

  for (const auto& space : active_namespaces()) {
    if (std::ranges::binary_search(active, space->nsid)) continue;
    space->active.store(false, std::memory_order_relaxed);
    report(ControllerEvent::Kind::namespace_removed, space->nsid);
  }
  for (const std::uint32_t nsid : active) {
    auto reading = read_namespace(nsid);
    auto read = co_await as_result(std::move(reading));
    if (!read) {
      if (!read.error().nvme_status() && read.error().code() != std::errc::protocol_error) throw read.error();
      log::warn("{}: namespace {} is left out: {}", settings_.name, nsid, read.error().what());
      continue;
    }
    std::shared_ptr<NamespaceState> state = find_namespace(nsid);
    const bool was_active = state != nullptr && state->active.load(std::memory_order_relaxed);
    const auto before = was_active ? state->info() : nullptr;
    if (before != nullptr && another(*before, **read)) {
      // Another namespace under the same number: handles of the old one must not reach it.
      state->active.store(false, std::memory_order_relaxed);
      report(ControllerEvent::Kind::namespace_removed, nsid);
      state = nullptr;
    }
    if (state == nullptr || !was_active) {
      state = std::make_shared<NamespaceState>(nsid);
      publish(*state, *read);
      {
        const std::lock_guard lock(mutex_);
        spaces_[nsid] = state;
      }
      report(ControllerEvent::Kind::namespace_added, nsid);
      continue;
    }
    const bool changed = !same(*before, **read);
    publish(*state, *read);
    if (changed) report(ControllerEvent::Kind::namespace_changed, nsid);
  }
}

Task<std::vector<std::uint32_t>> ControllerCore::read_active_list() {
  std::vector<std::uint32_t> all;
  const DmaBuf buffer(sizeof(spec::NamespaceList));
  for (std::uint32_t after = 0;;) {
    auto identifying = admin_now(spec::identify_command(spec::Cns::active_ns_list, after), buffer, "identify");
    co_await identifying;
    spec::NamespaceList list;
    std::memcpy(&list, buffer.data(), sizeof list);
    for (const std::uint32_t nsid : list.nsid) {
      if (nsid == 0) co_return all;
      if (nsid <= after || nsid > 0xFFFF'FFFE) {
        throw Error(std::errc::protocol_error,
                    fmt::format("the list of active namespaces is not in order: {:#x} follows {:#x}", nsid, after))
            .with_device(settings_.name);
      }
      if (all.size() == most_namespaces) {
        throw Error(std::errc::protocol_error, fmt::format("more than {} namespaces", most_namespaces))
            .with_device(settings_.name);
      }
      all.push_back(nsid);
      after = nsid;
    }
  }
}

Task<std::shared_ptr<const NamespaceInfo>> ControllerCore::read_namespace(std::uint32_t nsid) {
  const ErrorContext doing("identifying namespace {}", nsid);
  const DmaBuf buffer(spec::identify_bytes);
  auto identifying = admin_now(spec::identify_command(spec::Cns::ns, nsid), buffer, "identify");
  co_await identifying;
  auto info = std::make_shared<NamespaceInfo>();
  std::memcpy(&info->identify, buffer.data(), sizeof info->identify);
  const spec::IdentifyNamespace& identify = info->identify;
  const std::uint32_t formats = std::uint32_t{identify.nlbaf} + identify.nulbaf + 1u;
  const spec::LbaFormat& format = identify.format();
  if (identify.format_index() >= std::max(formats, 1u) || format.block_size() == 0) {
    throw Error(std::errc::protocol_error, fmt::format("its format (index {} of {}, blocks of 2^{} bytes) can't be",
                                                       identify.format_index(), formats, format.data_log2));
  }
  info->nsid = nsid;
  info->block_size = format.block_size();
  info->num_blocks = identify.nsze;
  info->metadata_size = format.metadata_bytes;
  info->metadata_interleaved = info->metadata_size != 0 && identify.metadata_interleaved();
  info->protection_type = info->metadata_size != 0 ? identify.protection_type() : 0;
  info->protection_first = identify.protection_first();
  info->read_only = (identify.nsattr & spec::nsattr_write_protected) != 0;
  info->nguid = identify.nguid;
  info->eui64 = identify.eui64;
  info->optimal_io_boundary = identify.noiob;
  const auto controller = this->identify();
  const bool own_atomics = (identify.nsfeat & spec::nsfeat::ns_atomics) != 0;
  info->atomic_write_blocks = (own_atomics ? identify.nawupf.value() : controller->awupf.value()) + 1u;
  info->compare_and_write_blocks = (own_atomics ? identify.nacwu.value() : controller->acwu.value()) + 1u;

  constexpr spec::SpecVersion with_descriptors{0x0001'0300};
  if (version() >= with_descriptors) {
    auto describing = read_id_descriptors(*info, buffer);
    co_await std::move(describing);
  }
  co_return info;
}

Task<> ControllerCore::read_id_descriptors(NamespaceInfo& info, DmaSpan scratch) {
  auto identifying = admin_now(spec::identify_command(spec::Cns::ns_id_descriptors, info.nsid), scratch, "identify");
  const auto identified = co_await as_result(identifying);
  if (!identified) {
    if (!identified.error().nvme_status()) throw identified.error();
    co_return;  // it may be left out
  }
  const std::span<const std::byte> bytes = scratch.bytes();
  for (std::size_t at = 0; at + sizeof(spec::NsIdDescriptor) <= bytes.size();) {
    spec::NsIdDescriptor head;
    std::memcpy(&head, bytes.data() + at, sizeof head);
    at += sizeof head;
    if (head.type == 0 || head.length == 0 || head.length > bytes.size() - at) co_return;
    const auto copy_to = [&](void* field, std::size_t size) {
      if (head.length == size) std::memcpy(field, bytes.data() + at, size);
    };
    switch (static_cast<spec::NsIdType>(head.type)) {
      case spec::NsIdType::eui64: copy_to(info.eui64.data(), info.eui64.size()); break;
      case spec::NsIdType::nguid: copy_to(info.nguid.data(), info.nguid.size()); break;
      case spec::NsIdType::uuid: copy_to(info.uuid.bytes.data(), info.uuid.bytes.size()); break;
      case spec::NsIdType::csi: copy_to(&info.command_set, 1); break;
    }
    at += head.length;
  }
}

void ControllerCore::publish(NamespaceState& state, std::shared_ptr<const NamespaceInfo> info) {
  constexpr auto relaxed = std::memory_order_relaxed;
  const auto controller = identify();
  const std::uint32_t transfer = info->block_size + (info->metadata_interleaved ? info->metadata_size : 0);
  state.transfer_bytes.store(transfer, relaxed);
  state.metadata_bytes.store(info->metadata_interleaved ? 0 : info->metadata_size, relaxed);
  state.max_blocks.store(std::clamp(max_transfer_bytes() / transfer, 1u, 65536u), relaxed);
  const std::uint64_t zeroes = std::clamp<std::uint64_t>(limits_.zeroes_bytes / info->block_size, 1, 65536);
  state.max_zeroes_blocks.store(static_cast<std::uint32_t>(zeroes), relaxed);
  const auto range =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(limits_.deallocate_blocks, limits_.deallocate_total));
  state.max_deallocate_blocks.store(range, relaxed);
  state.max_deallocate_ranges.store(limits_.deallocate_ranges, relaxed);
  state.max_deallocate_total.store(limits_.deallocate_total, relaxed);
  state.oncs.store(controller->oncs, relaxed);
  state.fused_compare_and_write.store((controller->fuses & spec::fuses_compare_and_write) != 0, relaxed);
  state.num_blocks.store(info->num_blocks, relaxed);
  state.set_info(std::move(info));
  state.active.store(true, relaxed);
}

}  // namespace spdkio::nvme
