#include "bdev_modules/file/uring_channel.hpp"

#include <spdkio/bdev/channel_slot.hpp>

#include <fcntl.h>
#include <linux/fs.h>

#include <cerrno>
#include <new>
#include <utility>

#include "bdev_modules/file/reset_request.hpp"
#include "bdev_modules/file/vanished_device.hpp"

namespace spdkio::bdev::file {
namespace {

/// How often a request goes back to the kernel that says EAGAIN or EINTR.
constexpr std::uint8_t most_attempts = 32;

}  // namespace

UringChannel::UringChannel(RingHandle ring, std::shared_ptr<BackingFile> file, std::shared_ptr<WorkerPool> pool,
                           std::shared_ptr<ChannelList> channels)
    : ring_(std::move(ring)),
      file_(std::move(file)),
      channels_(std::move(channels)),
      in_flight_(std::make_shared<InFlight>()),
      helpers_(file_, std::move(pool), in_flight_),
      fd_(ring_->files().add(file_->fd())),
      fd_flag_(fd_ >= 0 ? IOSQE_FIXED_FILE : 0) {
  if (fd_flag_ == 0) fd_ = file_->fd();
  channels_->add(in_flight_);
}

UringChannel::~UringChannel() {
  channels_->remove(in_flight_);
  if (fd_flag_ != 0) ring_->files().remove(fd_);
}

void UringChannel::submit(Io& io) noexcept {
  switch (io.type) {
    case IoType::write_zeroes:
      if (file_->zero_method() == ZeroMethod::write) return helpers_.submit(io);
      break;
    case IoType::unmap:
      if (file_->kind() == FileKind::block_device) return helpers_.submit(io);
      break;
    case IoType::read:
    case IoType::write:
    case IoType::flush: break;
    case IoType::reset: return submit_reset(io, channels_);
    default: return helpers_.submit(io);
  }
  auto& request = *::new (static_cast<void*>(&io.context<UringRequest>())) UringRequest(*this, io, file_->block_size());
  in_flight_->started(request);
  ring_->submit(io);
}

void UringChannel::abort(Io& io) noexcept {
  RequestHead& head = head_of(io);
  head.stop_wanted = true;
  switch (head.stage) {
    case Stage::waiting:
      if (ring_->withdraw(io)) cancelled(io, Outcome::never_submitted);
      break;
    case Stage::submitted: ring_->cancel(io); break;
    case Stage::helper: helpers_.abort(io); break;
    case Stage::reset: break;
  }
}

void UringChannel::prepare(Io& io, io_uring_sqe& sqe) noexcept {
  UringRequest& request = io.context<UringRequest>();
  const TransferCursor& cursor = request.cursor;
  switch (io.type) {
    case IoType::write_zeroes: {
      request.zero_method = file_->zero_method();
      const int method = request.zero_method == ZeroMethod::zero_range ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE;
      io_uring_prep_fallocate(&sqe, fd_, method | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(cursor.offset()),
                              static_cast<off_t>(cursor.left()));
      break;
    }
    case IoType::unmap:
      io_uring_prep_fallocate(&sqe, fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                              static_cast<off_t>(cursor.offset()), static_cast<off_t>(cursor.left()));
      break;
    case IoType::flush: io_uring_prep_fsync(&sqe, fd_, IORING_FSYNC_DATASYNC); break;
    default: prepare_transfer(io, cursor, sqe); break;
  }
  sqe.flags |= static_cast<__u8>(fd_flag_);
  // The kernel's own worker waits where the fast path said EAGAIN.
  if (request.attempts > 0) [[unlikely]]
    sqe.flags |= IOSQE_ASYNC;
}

void UringChannel::prepare_transfer(const Io& io, const TransferCursor& cursor, io_uring_sqe& sqe) noexcept {
  const bool reading = io.type == IoType::read;
  if (cursor.single()) {
    const int window = ring_->buffers().find(cursor.data(), cursor.bytes());
    if (reading) {
      if (window >= 0) {
        io_uring_prep_read_fixed(&sqe, fd_, cursor.data(), cursor.bytes(), cursor.offset(), window);
      } else {
        io_uring_prep_read(&sqe, fd_, cursor.data(), cursor.bytes(), cursor.offset());
      }
    } else if (window >= 0) {
      io_uring_prep_write_fixed(&sqe, fd_, cursor.data(), cursor.bytes(), cursor.offset(), window);
    } else {
      io_uring_prep_write(&sqe, fd_, cursor.data(), cursor.bytes(), cursor.offset());
    }
  } else if (reading) {
    io_uring_prep_readv(&sqe, fd_, cursor.iov(), static_cast<unsigned>(cursor.iov_count()), cursor.offset());
  } else {
    io_uring_prep_writev(&sqe, fd_, cursor.iov(), static_cast<unsigned>(cursor.iov_count()), cursor.offset());
  }
  if (io.fua && !reading) sqe.rw_flags = RWF_DSYNC;
}

void UringChannel::answered(Io& io, int result) noexcept {
  if (result < 0) [[unlikely]]
    return failed(io, -result);
  if (io.type == IoType::read || io.type == IoType::write) return moved(io, static_cast<std::uint32_t>(result));
  end(io, IoStatus::success());
}

void UringChannel::moved(Io& io, std::uint32_t bytes) noexcept {
  UringRequest& request = io.context<UringRequest>();
  request.cursor.advance(bytes);
  if (request.cursor.done()) [[likely]]
    return end(io, IoStatus::success());
  // Nothing more, or a direct transfer that stopped inside a block: the file ends there.
  if (bytes == 0 || request.cursor.offset() % file_->alignment() != 0) {
    file_->report_end_of_file(request.cursor.offset());
    return end(io, failure_status(*file_, EIO));
  }
  request.stage = Stage::waiting;
  request.attempts = 0;
  ring_->submit(io);
}

void UringChannel::failed(Io& io, int errno_value) noexcept {
  UringRequest& request = io.context<UringRequest>();
  if (errno_value == ECANCELED) return cancelled(io, Outcome::aborted);
  if (errno_value == EINTR && request.stop_wanted) {
    return cancelled(io, modifies(io.type) ? Outcome::may_have_executed : Outcome::aborted);
  }
  if ((errno_value == EAGAIN || errno_value == EINTR) && request.attempts < most_attempts) {
    ++request.attempts;
    request.stage = Stage::waiting;
    return ring_->submit(io);
  }
  if (errno_value == EOPNOTSUPP && io.type == IoType::write_zeroes) {
    file_->zero_method_failed(request.zero_method);
    in_flight_->ended(request);
    return submit(io);
  }
  if (errno_value == ENOMEM && untouched(io)) return end(io, IoStatus::no_memory());
  file_->report_failure(to_string(io.type), request.cursor.offset(), errno_value);
  end(io, failure_status(*file_, errno_value));
}

void UringChannel::cancelled(Io& io, Outcome if_untouched) noexcept {
  const bool in_part = modifies(io.type) && !untouched(io);
  end(io, IoStatus::cancelled(in_part ? Outcome::may_have_executed : if_untouched));
}

/// Nothing of the transfer has taken place.
bool UringChannel::untouched(Io& io) const noexcept {
  return io.context<UringRequest>().cursor.left() == io.blocks * file_->block_size();
}

void UringChannel::refused(Io& io, int errno_value) noexcept {
  end(io, IoStatus::system(errno_value, Outcome::never_submitted));
}

void UringChannel::end(Io& io, IoStatus status) noexcept {
  in_flight_->ended(head_of(io));
  if (!status.ok()) [[unlikely]]
    remove_if_vanished(file_, status);
  io.complete(status);  // may destroy this
}

}  // namespace spdkio::bdev::file
