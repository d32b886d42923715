#include "engine_spdk/spdk_channel.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/bdev/channel_slot.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "engine_spdk/control.hpp"
#include "engine_spdk/io_status.hpp"
#include "engine_spdk/spdk_device.hpp"

namespace spdkio::spdk {

using bdev::Io;
using bdev::IoStatus;
using bdev::IoType;

SpdkChannel::SpdkChannel(SpdkDevice& device)
    : device_(device),
      thread_(device.control().threads().here()),
      read_descriptor_(device.descriptor()),
      flush_for_fua_(device.geometry().volatile_write_cache && device.supports(IoType::flush)) {
  thread_.make_current();
  channel_ = ::spdk_bdev_get_io_channel(read_descriptor_);
  if (channel_ == nullptr) {
    throw Error(std::errc::not_enough_memory, "SPDK gives no channel")
        .with_operation("spdk_bdev_get_io_channel")
        .with_device(device.name());
  }
}

SpdkChannel::~SpdkChannel() {
  thread_.make_current();
  ::spdk_put_io_channel(channel_);
  if (write_descriptor_ != nullptr) ::spdk_bdev_close(write_descriptor_);
}

spdk_bdev_desc* SpdkChannel::to_write(int& rc) {
  if (write_descriptor_ != nullptr) [[likely]]
    return write_descriptor_;
  // The descriptor for reading hears of events; a removal destroys this channel, and closes this one with it.
  const auto ignore = [](spdk_bdev_event_type, spdk_bdev*, void*) {};
  rc = ::spdk_bdev_open_ext(device_.name().c_str(), true, ignore, nullptr, &write_descriptor_);
  return write_descriptor_;
}

iovec* SpdkChannel::list_of(Request& request, std::size_t first, std::size_t second) {
  if (free_lists_ == nullptr) {
    free_lists_ = lists_.emplace_back(std::make_unique<IovList>()).get();
  }
  request.list = std::exchange(free_lists_, free_lists_->next);
  auto& entries = request.list->entries;
  if (entries.size() < first + second) entries.resize(first + second);
  return entries.data();
}

void SpdkChannel::release(Request& request) noexcept {
  if (request.list != nullptr) {
    request.list->next = free_lists_;
    free_lists_ = std::exchange(request.list, nullptr);
  }
  delete[] std::exchange(request.zones, nullptr);
}

void SpdkChannel::submit(Io& io) noexcept {
  static_assert(std::is_trivially_destructible_v<Request>);
  Request& request = *new (&io.context<Request>()) Request{
      .channel = this, .list = nullptr, .zones = nullptr, .abort_wanted = false, .flush_follows = false};
  thread_.make_current();
  thread_.began();
  int rc = 0;
  try {
    rc = start(io, request);
  } catch (const std::bad_alloc&) {
    rc = -ENOMEM;
  }
  if (rc == 0) [[likely]]
    return;
  thread_.ended();
  release(request);
  io.complete(rc == -ENOMEM ? IoStatus::no_memory() : IoStatus::system(-rc, Outcome::never_submitted));
}

int SpdkChannel::start_transfer(Io& io, Request& request) {
  int rc = 0;
  spdk_bdev_desc* const descriptor = io.type == IoType::write ? to_write(rc) : read_descriptor_;
  if (descriptor == nullptr) [[unlikely]]
    return rc;
  request.flush_follows = io.type == IoType::write && io.fua && flush_for_fua_;
  void* const metadata = io.metadata.empty() ? nullptr : io.metadata.data();
  if (io.iov_count == 1) {
    void* const data = io.iov->data();
    switch (io.type) {
      case IoType::read:
        return ::spdk_bdev_read_blocks_with_md(descriptor, channel_, data, metadata, io.lba, io.blocks, on_done, &io);
      case IoType::write:
        return ::spdk_bdev_write_blocks_with_md(descriptor, channel_, data, metadata, io.lba, io.blocks, on_done, &io);
      default:
        return ::spdk_bdev_compare_blocks_with_md(descriptor, channel_, data, metadata, io.lba, io.blocks, on_done,
                                                  &io);
    }
  }
  iovec* const list = list_of(request, io.iov_count, 0);
  for (std::uint32_t i = 0; i < io.iov_count; ++i) list[i] = {io.iov[i].data(), io.iov[i].size()};
  const int count = static_cast<int>(io.iov_count);
  switch (io.type) {
    case IoType::read:
      return ::spdk_bdev_readv_blocks_with_md(descriptor, channel_, list, count, metadata, io.lba, io.blocks, on_done,
                                              &io);
    case IoType::write:
      return ::spdk_bdev_writev_blocks_with_md(descriptor, channel_, list, count, metadata, io.lba, io.blocks, on_done,
                                               &io);
    default:
      return ::spdk_bdev_comparev_blocks_with_md(descriptor, channel_, list, count, metadata, io.lba, io.blocks,
                                                 on_done, &io);
  }
}

int SpdkChannel::start(Io& io, Request& request) {
  if (io.type == IoType::read || io.type == IoType::write || io.type == IoType::compare) [[likely]]
    return start_transfer(io, request);
  if (io.type == IoType::reset) return ::spdk_bdev_reset(read_descriptor_, channel_, on_done, &io);
  if (io.type == IoType::seek_data) {
    return ::spdk_bdev_seek_data(read_descriptor_, channel_, io.lba, on_done, &io);
  }
  if (io.type == IoType::seek_hole) {
    return ::spdk_bdev_seek_hole(read_descriptor_, channel_, io.lba, on_done, &io);
  }
  if (io.type == IoType::zone_report) {
    request.zones = new spdk_bdev_zone_info[io.zone_count];
    const std::uint64_t zone = ::spdk_bdev_get_zone_id(device_.bdev(), io.lba);
    // SPDK refuses to report zones beyond the last.
    const std::uint64_t size = device_.geometry().zone_size_blocks;
    const std::uint64_t left = (::spdk_bdev_get_num_blocks(device_.bdev()) - zone) / size;
    io.result = std::min<std::uint64_t>(io.zone_count, left);
    return ::spdk_bdev_get_zone_info(read_descriptor_, channel_, zone, io.result, request.zones, on_done, &io);
  }
  if (io.type == IoType::abort) {
    return ::spdk_bdev_abort(read_descriptor_, channel_, io.target, on_done, &io);
  }

  int rc = 0;
  spdk_bdev_desc* const descriptor = to_write(rc);
  if (descriptor == nullptr) return rc;
  switch (io.type) {
    case IoType::write_zeroes:
      return ::spdk_bdev_write_zeroes_blocks(descriptor, channel_, io.lba, io.blocks, on_done, &io);
    case IoType::unmap: return ::spdk_bdev_unmap_blocks(descriptor, channel_, io.lba, io.blocks, on_done, &io);
    case IoType::flush: return ::spdk_bdev_flush_blocks(descriptor, channel_, io.lba, io.blocks, on_done, &io);
    case IoType::copy:
      return ::spdk_bdev_copy_blocks(descriptor, channel_, io.lba, io.source_lba, io.blocks, on_done, &io);
    case IoType::compare_and_write: {
      iovec* const list = list_of(request, io.iov_count, io.write_iov_count);
      for (std::uint32_t i = 0; i < io.iov_count; ++i) list[i] = {io.iov[i].data(), io.iov[i].size()};
      iovec* const writes = list + io.iov_count;
      for (std::uint32_t i = 0; i < io.write_iov_count; ++i) {
        writes[i] = {io.write_iov[i].data(), io.write_iov[i].size()};
      }
      return ::spdk_bdev_comparev_and_writev_blocks(descriptor, channel_, list, static_cast<int>(io.iov_count), writes,
                                                    static_cast<int>(io.write_iov_count), io.lba, io.blocks, on_done,
                                                    &io);
    }
    case IoType::zone_management:
      return ::spdk_bdev_zone_management(descriptor, channel_, io.lba, to_spdk(io.zone_action), on_done, &io);
    case IoType::zone_append: {
      iovec* const list = list_of(request, io.iov_count, 0);
      for (std::uint32_t i = 0; i < io.iov_count; ++i) list[i] = {io.iov[i].data(), io.iov[i].size()};
      void* const metadata = io.metadata.empty() ? nullptr : io.metadata.data();
      return ::spdk_bdev_zone_appendv_with_md(descriptor, channel_, list, static_cast<int>(io.iov_count), metadata,
                                              io.lba, io.blocks, on_done, &io);
    }
    case IoType::nvme_admin:
    case IoType::nvme_io: {
      spdk_nvme_cmd command;
      static_assert(sizeof command == sizeof io.command->dwords);
      std::memcpy(&command, io.command->dwords.data(), sizeof command);
      void* const data = io.iov_count == 0 ? nullptr : io.iov->data();
      const std::size_t size = io.iov_count == 0 ? 0 : io.iov->size();
      return io.type == IoType::nvme_admin
                 ? ::spdk_bdev_nvme_admin_passthru(descriptor, channel_, &command, data, size, on_done, &io)
                 : ::spdk_bdev_nvme_io_passthru(descriptor, channel_, &command, data, size, on_done, &io);
    }
    default: return -ENOTSUP;
  }
}

void SpdkChannel::on_done(spdk_bdev_io* done, bool success, void* context) noexcept {
  Io& io = *static_cast<Io*>(context);
  Request& request = io.context<Request>();
  SpdkChannel& channel = *request.channel;
  IoStatus status;
  if (success) [[likely]] {
    switch (io.type) {
      case IoType::seek_data:
      case IoType::seek_hole: io.result = ::spdk_bdev_io_get_seek_offset(done); break;
      case IoType::zone_append: io.result = ::spdk_bdev_io_get_append_location(done); break;
      case IoType::abort: io.result = 1; break;
      case IoType::nvme_admin:
      case IoType::nvme_io: {
        std::uint32_t cdw0 = 0;
        int sct = 0;
        int sc = 0;
        ::spdk_bdev_io_get_nvme_status(done, &cdw0, &sct, &sc);
        io.result = cdw0;
        break;
      }
      case IoType::zone_report:
        for (std::uint64_t i = 0; i < io.result; ++i) {
          io.zones[i] = from_spdk(request.zones[i], channel.device_.geometry().zone_size_blocks);
        }
        break;
      default: break;
    }
  } else if (io.type == IoType::abort) {
    io.result = 0;  // the target ran to its end: an answer, not a failure
  } else {
    status = status_of(*done);
    if (request.abort_wanted && status.kind() == IoStatus::Kind::nvme &&
        status == IoStatus::nvme({.sct = SPDK_NVME_SCT_GENERIC, .sc = SPDK_NVME_SC_ABORTED_BY_REQUEST})) {
      status = IoStatus::cancelled(Outcome::aborted);
    }
  }
  ::spdk_bdev_free_io(done);
  if (request.flush_follows && status.ok()) [[unlikely]] {
    request.flush_follows = false;
    if (::spdk_bdev_flush_blocks(channel.write_descriptor_, channel.channel_, io.lba, io.blocks, on_done, &io) == 0) {
      return;
    }
    status = IoStatus::system(EIO, Outcome::may_have_executed);
  }
  channel.release(request);
  channel.thread_.ended();
  io.complete(status);
}

namespace {

/// An abort on its way: it keeps the channel of SPDK's, which may be closed as soon as the request has ended.
struct AbortCall {
  LightThread& thread;
  spdk_io_channel* channel;
};

void on_abort_done(spdk_bdev_io* done, bool, void* context) noexcept {
  const std::unique_ptr<AbortCall> call(static_cast<AbortCall*>(context));
  ::spdk_bdev_free_io(done);
  ::spdk_put_io_channel(call->channel);
  call->thread.ended();
}

}  // namespace

void SpdkChannel::abort(Io& io) noexcept {
  Request& request = io.context<Request>();
  request.abort_wanted = true;
  if (!device_.supports(IoType::abort)) return;
  thread_.make_current();
  auto call = std::unique_ptr<AbortCall>(new (std::nothrow) AbortCall{thread_, channel_});
  if (call == nullptr) return;
  // SPDK may answer before this returns, and the last handle of ours go with the answer.
  spdk_io_channel* const keep = ::spdk_bdev_get_io_channel(read_descriptor_);
  if (keep == nullptr) return;
  AbortCall* const context = call.release();
  LightThread& thread = thread_;
  thread.began();
  if (::spdk_bdev_abort(read_descriptor_, keep, &io, on_abort_done, context) == 0) return;
  // SPDK has no room to ask: the request runs to its end.
  thread.ended();
  ::spdk_put_io_channel(keep);
  delete context;
}

}  // namespace spdkio::spdk
