#include "bdev_modules/zone_block/zone_block_channel.hpp"

#include <spdkio/bdev/zone_status.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

namespace spdkio::bdev {

ZoneBlockChannel::ZoneBlockChannel(const StackedBase& base, ZoneTable& zones)
    : StackedChannel(base),
      zones_(zones),
      geometry_(base.device().geometry()),
      base_unmaps_(base.device().supports(IoType::unmap)) {}

void ZoneBlockChannel::submit(Io& io) noexcept {
  switch (io.type) {
    case IoType::read: return read(io);
    case IoType::write:
    case IoType::write_zeroes:
    case IoType::zone_append: return write(io);
    case IoType::zone_report:
      io.result = zones_.report(Lba{io.lba}, {io.zones, io.zone_count});
      return io.complete(IoStatus::success());
    case IoType::zone_management: return manage(io);
    default: return forward(io, 0);
  }
}

void ZoneBlockChannel::read(Io& io) noexcept {
  const auto [status, written] = zones_.begin_read(io.range());
  if (!status.ok()) return io.complete(status);
  if (written == 0) {
    fill_unwritten(io, 0);
    return io.complete(IoStatus::success());
  }
  StackedChild* const child = take_for(io);
  if (child == nullptr) return io.complete(IoStatus::no_memory());
  child->note = written;
  send(*child);
}

void ZoneBlockChannel::write(Io& io) noexcept {
  // First, as the write pointer does not go back.
  StackedChild* const child = take_for(io);
  if (child == nullptr) return io.complete(IoStatus::no_memory());
  const bool append = io.type == IoType::zone_append;
  const auto [status, first] =
      append ? zones_.begin_append(Lba{io.lba}, BlockCount{io.blocks}) : zones_.begin_write(io.range());
  if (!status.ok()) return finish(*child, status);
  if (append) child->type = IoType::write;
  child->lba = first.value;
  send(*child);
}

void ZoneBlockChannel::manage(Io& io) noexcept {
  const Lba zone{io.lba};
  switch (io.zone_action) {
    case ZoneAction::open: return io.complete(zones_.open(zone));
    case ZoneAction::close: return io.complete(zones_.close(zone));
    case ZoneAction::finish: return io.complete(zones_.finish(zone));
    case ZoneAction::reset: return reset_zone(io);
    case ZoneAction::offline: break;  // only of zones that are read-only, which none of these ever is
  }
  io.complete(IoStatus::nvme(nvme_sc::invalid_zone_state_transition));
}

void ZoneBlockChannel::reset_zone(Io& io) noexcept {
  StackedChild* const child = take_for(io);
  if (child == nullptr) return io.complete(IoStatus::no_memory());
  const auto [status, written] = zones_.begin_reset(Lba{io.lba});
  if (!status.ok() || written.count == BlockCount{0}) return finish(*child, status);
  if (!base_unmaps_) {
    zones_.end_reset(Lba{io.lba}, true);
    return finish(*child, IoStatus::success());
  }
  child->type = IoType::unmap;
  child->lba = written.first.value;
  child->blocks = written.count.value;
  send(*child);
}

void ZoneBlockChannel::child_done(StackedChild& child) noexcept {
  const Io& parent = *child.parent;
  const IoStatus status = status_of(child);
  switch (parent.type) {
    case IoType::read:
      if (status.ok() && child.note < parent.blocks) fill_unwritten(parent, child.note);
      break;
    case IoType::zone_append: child.result = child.lba; [[fallthrough]];
    case IoType::write:
    case IoType::write_zeroes: zones_.end_write(Lba{child.lba}); break;
    case IoType::zone_management: zones_.end_reset(Lba{child.lba}, status.ok()); break;
    default: break;
  }
  finish(child);
}

void ZoneBlockChannel::fill_unwritten(const Io& io, std::uint64_t first) const noexcept {
  // Protection information of all ones is not checked by hosts; NVM Command Set, "Protection Information and
  // Deallocate".
  const int metadata_fill = geometry_.dif_type == DifType::none ? 0 : 0xFF;
  const std::size_t block = geometry_.block_size;
  const std::size_t data_size = block - (geometry_.metadata_interleaved ? geometry_.metadata_size : 0);
  std::size_t position = 0;  // in the transfer, of the piece
  for (const DmaSpan& piece : io.spans()) {
    const std::size_t begin = std::max<std::size_t>(position, first * block);
    const std::size_t end = position + piece.size();
    for (std::size_t at = begin; at < end;) {
      const std::size_t in_block = at % block;
      const bool metadata = in_block >= data_size;
      const std::size_t length = std::min((metadata ? block : data_size) - in_block, end - at);
      std::memset(piece.data() + (at - position), metadata ? metadata_fill : 0, length);
      at += length;
    }
    position = end;
  }
  if (!io.metadata.empty()) {
    const std::size_t offset = std::min(first * geometry_.metadata_size, io.metadata.size());
    std::memset(io.metadata.data() + offset, metadata_fill, io.metadata.size() - offset);
  }
}

}  // namespace spdkio::bdev
