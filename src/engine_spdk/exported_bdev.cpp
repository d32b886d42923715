#include "engine_spdk/exported_bdev.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>

#include <spdk/json.h>
#include <nlohmann/json.hpp>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>
#include <span>
#include <utility>

#include "engine_spdk/io_status.hpp"

namespace spdkio::spdk {
namespace {

using bdev::Io;
using bdev::IoStatus;
using bdev::IoType;

/// SPDK splits transfers that have more pieces.
constexpr std::uint32_t max_pieces = 32;
/// In the request itself: what nearly all have.
constexpr std::uint32_t inline_pieces = 8;

/// A scatter list that does not fit into its request; kept by the channel for the next.
struct PieceList {
  std::array<DmaSpan, 2 * std::size_t{max_pieces}> pieces;  // a compare_and_write has two lists
  PieceList* next = nullptr;
};

/// What an SPDK channel to one of ours holds.
struct ChannelContext {
  bdev::ChannelSlot* slot;
  PieceList* free_lists;
};

/// In the room that SPDK reserves in its request.
struct Request : Io {
  spdk_bdev_io* spdk_io;
  ChannelContext* channel;
  PieceList* list;
  bool ended;
  std::array<DmaSpan, inline_pieces> pieces;
  bdev::NvmeCommand nvme_command;
};
// SPDK makes 65535 requests at its start, each with room for the greediest module. Without hugepages no two of them
// share a page as soon as one is larger than half of it, which doubles what is used.
static_assert(sizeof(Request) <= 480, "not more than SPDK's own modules ask for");

/// Room for a scatter list; null when there is none.
DmaSpan* room_for(Request& request, std::size_t count) noexcept {
  if (count <= request.pieces.size()) [[likely]]
    return request.pieces.data();
  PieceList*& free_lists = request.channel->free_lists;
  if (free_lists == nullptr) {
    request.list = new (std::nothrow) PieceList;
    if (request.list == nullptr) return nullptr;
  } else {
    request.list = std::exchange(free_lists, free_lists->next);
  }
  return request.list->pieces.data();
}

void end(Request& request) noexcept {
  request.ended = true;
  if (request.type == IoType::zone_report) delete[] std::exchange(request.zones, nullptr);
  if (request.list == nullptr) [[likely]]
    return;
  request.list->next = request.channel->free_lists;
  request.channel->free_lists = std::exchange(request.list, nullptr);
}

/// SPDK does not say how its room is aligned.
void* aligned(void* context) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(context);
  return reinterpret_cast<void*>((address + alignof(Request) - 1) & ~(alignof(Request) - 1));
}
Request& request_of(spdk_bdev_io& io) noexcept { return *std::launder(static_cast<Request*>(aligned(io.driver_ctx))); }

/// SPDK asks for a number of zones and gets all of them, or none.
IoStatus report_zones(const Request& request, spdk_bdev_io& spdk_io) noexcept {
  if (!request.status().ok()) return request.status();
  if (request.result != request.zone_count) return IoStatus::system(EINVAL);
  auto* const out = static_cast<spdk_bdev_zone_info*>(spdk_io.u.zone_mgmt.buf);
  for (std::uint32_t i = 0; i < request.zone_count; ++i) out[i] = to_spdk(request.zones[i]);
  return IoStatus::success();
}

void on_complete(Io& io) noexcept {
  auto& request = static_cast<Request&>(io);
  spdk_bdev_io& spdk_io = *request.spdk_io;
  const IoStatus status = request.type == IoType::zone_report ? report_zones(request, spdk_io) : request.status();
  end(request);
  // Modules of ours complete from their own pollers too, where SPDK does not know on which thread it is.
  spdk_thread* const before = ::spdk_get_thread();
  spdk_thread* const home = ::spdk_bdev_io_get_thread(&spdk_io);
  if (before != home) ::spdk_set_thread(home);
  if (request.type == IoType::seek_data || request.type == IoType::seek_hole) {
    spdk_io.u.bdev.seek.offset = request.result;
  } else if (request.type == IoType::zone_append) {
    spdk_io.u.bdev.offset_blocks = request.result;
  }
  complete_with(spdk_io, status, static_cast<std::uint32_t>(request.result));
  if (before != home) ::spdk_set_thread(before);
}

std::uint64_t set_pieces(std::span<const iovec> vectors, DmaSpan* pieces) noexcept {
  std::uint64_t bytes = 0;
  for (const iovec& vector : vectors) {
    *pieces++ = DmaSpan::from_registered(static_cast<std::byte*>(vector.iov_base), vector.iov_len);
    bytes += vector.iov_len;
  }
  return bytes;
}
std::span<const iovec> vectors_of(const iovec* vectors, int count) noexcept {
  return {vectors, vectors == nullptr || count < 0 ? 0 : static_cast<std::size_t>(count)};
}

void abort_request(bdev::ChannelSlot& slot, spdk_bdev_io& io) noexcept {
  Request& target = request_of(*io.u.abort.bio_to_abort);
  if (!target.ended) slot.abort(target);
  ::spdk_bdev_io_complete(&io, target.ended ? SPDK_BDEV_IO_STATUS_SUCCESS : SPDK_BDEV_IO_STATUS_FAILED);
}

void submit(spdk_io_channel* channel, spdk_bdev_io* spdk_io) noexcept {
  auto& context = *static_cast<ChannelContext*>(::spdk_io_channel_get_ctx(channel));
  bdev::ChannelSlot& slot = *context.slot;
  const auto type = from_spdk(static_cast<spdk_bdev_io_type>(spdk_io->type));
  if (!type) {
    ::spdk_bdev_io_complete_aio_status(spdk_io, -ENOTSUP);
    return;
  }
  if (*type == IoType::abort) {
    abort_request(slot, *spdk_io);
    return;
  }
  auto& request = *new (aligned(spdk_io->driver_ctx)) Request;
  request.spdk_io = spdk_io;
  request.channel = &context;
  request.list = nullptr;
  request.ended = false;
  request.type = *type;
  std::uint64_t bytes = 0;
  const auto& params = spdk_io->u.bdev;
  switch (*type) {
    case IoType::nvme_admin:
    case IoType::nvme_io:
      std::memcpy(request.nvme_command.dwords.data(), &spdk_io->u.nvme_passthru.cmd,
                  sizeof request.nvme_command.dwords);
      request.command = &request.nvme_command;
      if (spdk_io->u.nvme_passthru.buf != nullptr) {
        request.pieces[0] = DmaSpan::from_registered(static_cast<std::byte*>(spdk_io->u.nvme_passthru.buf),
                                                     spdk_io->u.nvme_passthru.nbytes);
        request.iov = request.pieces.data();
        request.iov_count = 1;
      }
      break;
    case IoType::zone_report:
      request.lba = spdk_io->u.zone_mgmt.zone_id;
      request.zones = new (std::nothrow) bdev::ZoneInfo[spdk_io->u.zone_mgmt.num_zones];
      if (request.zones == nullptr) {
        request.ended = true;
        ::spdk_bdev_io_complete(spdk_io, SPDK_BDEV_IO_STATUS_NOMEM);
        return;
      }
      request.zone_count = spdk_io->u.zone_mgmt.num_zones;
      break;
    case IoType::zone_management:
      request.lba = spdk_io->u.zone_mgmt.zone_id;
      request.zone_action = from_spdk(spdk_io->u.zone_mgmt.zone_action);
      break;
    case IoType::reset: break;
    default:
      request.lba = params.offset_blocks;
      request.blocks = *type == IoType::seek_data || *type == IoType::seek_hole ? 0 : params.num_blocks;
      if (*type == IoType::copy) request.source_lba = params.copy.src_offset_blocks;
      if (*type != IoType::copy) {
        const auto data = vectors_of(params.iovs, params.iovcnt);
        const auto writes = *type == IoType::compare_and_write ? vectors_of(params.fused_iovs, params.fused_iovcnt)
                                                               : std::span<const iovec>();
        const std::size_t count = data.size() + writes.size();
        DmaSpan* const pieces = count > 2 * std::size_t{max_pieces} ? nullptr : room_for(request, count);
        if (pieces == nullptr) {
          request.ended = true;
          if (count > 2 * std::size_t{max_pieces}) {
            ::spdk_bdev_io_complete_aio_status(spdk_io, -E2BIG);
          } else {
            ::spdk_bdev_io_complete(spdk_io, SPDK_BDEV_IO_STATUS_NOMEM);
          }
          return;
        }
        bytes = set_pieces(data, pieces);
        request.iov = pieces;
        request.iov_count = static_cast<std::uint32_t>(data.size());
        if (!writes.empty()) {
          set_pieces(writes, pieces + data.size());
          request.write_iov = pieces + data.size();
          request.write_iov_count = static_cast<std::uint32_t>(writes.size());
        }
      }
      if (params.md_buf != nullptr) {
        request.metadata = DmaSpan::from_registered(static_cast<std::byte*>(params.md_buf),
                                                    params.num_blocks * slot.device().geometry().metadata_size);
      }
      break;
  }
  const IoStatus checked = slot.check(request, bytes);
  if (!checked.ok()) {
    end(request);
    complete_with(*spdk_io, checked, 0);
    return;
  }
  request.set_on_complete(on_complete);
  slot.submit(request);
}

void submit_with_buffer(spdk_io_channel* channel, spdk_bdev_io* io, bool success) noexcept {
  if (success) {
    submit(channel, io);
  } else {
    ::spdk_bdev_io_complete(io, SPDK_BDEV_IO_STATUS_NOMEM);
  }
}

void submit_request(spdk_io_channel* channel, spdk_bdev_io* io) noexcept {
  if (io->type == SPDK_BDEV_IO_TYPE_READ) {
    // Who reads may leave the buffer to SPDK.
    ::spdk_bdev_io_get_buf(io, submit_with_buffer, io->u.bdev.num_blocks * io->bdev->blocklen);
  } else {
    submit(channel, io);
  }
}

int open_channel(void* io_device, void* context) noexcept {
  auto& exported = *static_cast<ExportedBdev*>(io_device);
  try {
    new (context) ChannelContext{&exported.state().acquire_slot(), nullptr};
    return 0;
  } catch (...) {
    const Error error = Error::from_current_exception();
    log::error("SPDK gets no channel to '{}': {}", exported.state().name(), error.what());
    return -error.to_errno();
  }
}

void close_channel(void*, void* context) noexcept {
  auto& channel = *static_cast<ChannelContext*>(context);
  while (channel.free_lists != nullptr) delete std::exchange(channel.free_lists, channel.free_lists->next);
  channel.slot->drop_reference();
}

spdk_io_channel* get_io_channel(void* context) noexcept { return ::spdk_get_io_channel(context); }

bool io_type_supported(void* context, spdk_bdev_io_type type) noexcept {
  const auto ours = from_spdk(type);
  return ours && (*ours == IoType::abort || static_cast<ExportedBdev*>(context)->state().supports(*ours));
}

void write_json(spdk_json_write_ctx* out, const char* name, const nlohmann::ordered_json& value) {
  ::spdk_json_write_name(out, name);
  const std::string text = value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  ::spdk_json_write_val_raw(out, text.data(), text.size());
}

int dump_info(void* context, spdk_json_write_ctx* out) noexcept {
  try {
    const nlohmann::ordered_json all = static_cast<ExportedBdev*>(context)->state().driver_specific();
    for (const auto& [name, value] : all.items()) write_json(out, name.c_str(), value);
  } catch (...) {
    return -ENOMEM;
  }
  return 0;
}

}  // namespace

std::size_t exported_request_size() noexcept { return sizeof(Request) + alignof(Request); }

const spdk_bdev_fn_table& ExportedBdev::functions() noexcept {
  static const spdk_bdev_fn_table table = [] {
    spdk_bdev_fn_table made{};
    made.destruct = [](void* context) {
      // SPDK's channels have gone by now, or go with the messages that are on their way.
      ::spdk_io_device_unregister(context, [](void* io_device) {
        auto* const exported = static_cast<ExportedBdev*>(io_device);
        ::spdk_bdev_destruct_done(&exported->bdev_, 0);
        delete exported;
      });
      return 1;
    };
    made.submit_request = submit_request;
    made.io_type_supported = io_type_supported;
    made.get_io_channel = get_io_channel;
    made.dump_info_json = dump_info;
    return made;
  }();
  return table;
}

ExportedBdev::ExportedBdev(std::shared_ptr<bdev::DeviceState> state)
    : state_(std::move(state)), name_(state_->name()), product_name_(state_->product_name()) {
  const bdev::Geometry& geometry = state_->geometry();
  bdev_.ctxt = this;
  bdev_.name = name_.data();
  bdev_.product_name = product_name_.data();
  bdev_.write_cache = geometry.volatile_write_cache ? 1 : 0;
  bdev_.blocklen = geometry.block_size;
  bdev_.phys_blocklen = geometry.physical_block_size;
  bdev_.blockcnt = state_->num_blocks().value;
  bdev_.md_len = geometry.metadata_size;
  bdev_.md_interleave = geometry.metadata_interleaved;
  bdev_.dif_type = static_cast<spdk_dif_type>(geometry.dif_type);
  bdev_.dif_is_head_of_md = geometry.dif_at_start_of_metadata;
  bdev_.write_unit_size = geometry.write_unit_blocks;
  bdev_.optimal_io_boundary = geometry.optimal_io_boundary;
  bdev_.required_alignment = static_cast<std::uint8_t>(std::countr_zero(geometry.buffer_alignment));
  bdev_.max_num_segments = max_pieces;
  bdev_.max_segment_size = UINT32_MAX & ~4095U;
  bdev_.max_rw_size = geometry.max_transfer_blocks;
  bdev_.zoned = geometry.zone_size_blocks != 0;
  bdev_.zone_size = geometry.zone_size_blocks;
  bdev_.max_open_zones = geometry.max_open_zones;
  bdev_.max_active_zones = geometry.max_active_zones;
  bdev_.optimal_open_zones = geometry.optimal_open_zones;
  std::memcpy(&bdev_.uuid, state_->uuid().bytes.data(), state_->uuid().bytes.size());
  bdev_.module = &bdev_module();
  bdev_.fn_table = &functions();
}

Task<ExportedBdev*> ExportedBdev::create(std::shared_ptr<bdev::DeviceState> state, Control& control) {
  auto* const exported = new ExportedBdev(std::move(state));
  auto registration = [exported] {
    // SPDK finds bdevs by UUID too, and refuses a second one: a namespace that this process reaches over a target of
    // its own keeps its UUID among ours, and gets another with SPDK.
    const Uuid& uuid = exported->state_->uuid();
    if (::spdk_bdev_get_by_name(uuid.to_string().c_str()) != nullptr) exported->bdev_.uuid = {};
    ::spdk_io_device_register(exported, open_channel, close_channel, sizeof(ChannelContext), exported->name_.c_str());
    const int rc = ::spdk_bdev_register(&exported->bdev_);
    if (rc != 0) ::spdk_io_device_unregister(exported, nullptr);
    return rc;
  };
  auto registered = control.on_app(registration);
  const int rc = co_await std::move(registered);
  if (rc == 0) co_return exported;
  const std::unique_ptr<ExportedBdev> dropped(exported);
  throw Error::from_errno(-rc, "SPDK does not take it as a bdev")
      .with_operation("spdk_bdev_register")
      .with_device(exported->name_);
}

}  // namespace spdkio::spdk
