#include "bdev_modules/file/blocking_io.hpp"

#include <spdkio/bdev/device_state.hpp>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>

#include "bdev_modules/file/transfer_cursor.hpp"
#include "bdev_modules/file/vanished_device.hpp"

namespace spdkio::bdev::file {
namespace {

struct Bytes {
  std::uint64_t offset;
  std::uint64_t count;
  std::uint64_t end() const { return offset + count; }
};

Bytes range_of(const BackingFile& file, const Io& io) {
  return {io.lba * file.block_size(), io.blocks * file.block_size()};
}

/// Repeats `call` while a signal interrupts it; 0 or the errno.
template <class F>
int errno_of(F&& call) {
  for (;;) {
    if (call() >= 0) return 0;
    if (errno != EINTR) return errno;
  }
}

IoStatus failed(BackingFile& file, const Io& io, std::uint64_t offset, int errno_value) {
  file.report_failure(to_string(io.type), offset, errno_value);
  return failure_status(file, errno_value);
}

ssize_t write_through(int fd, const iovec* iov, int count, off_t offset) {
  const ssize_t written = ::pwritev2(fd, iov, count, offset, RWF_DSYNC);
  if (written >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS)) return written;
  const ssize_t plain = ::pwritev(fd, iov, count, offset);
  return plain >= 0 && ::fdatasync(fd) != 0 ? -1 : plain;
}

IoStatus transfer(BackingFile& file, const Io& io) {
  const Bytes range = range_of(file, io);
  TransferCursor cursor(io.spans(), range.offset, range.count);
  while (!cursor.done()) {
    const iovec single{cursor.data(), cursor.bytes()};
    const iovec* iov = cursor.single() ? &single : cursor.iov();
    const int count = cursor.single() ? 1 : cursor.iov_count();
    const auto offset = static_cast<off_t>(cursor.offset());
    const ssize_t moved = io.type == IoType::read ? ::preadv(file.fd(), iov, count, offset)
                          : io.fua                ? write_through(file.fd(), iov, count, offset)
                                                  : ::pwritev(file.fd(), iov, count, offset);
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0 && !(errno == EINVAL && cursor.offset() % file.alignment() != 0)) {
      return failed(file, io, cursor.offset(), errno);
    }
    // A direct transfer that stopped between two blocks has met the end of the file; the next one is refused.
    if (moved <= 0) {
      file.report_end_of_file(cursor.offset());
      return failure_status(file, EIO);
    }
    cursor.advance(static_cast<std::uint64_t>(moved));
  }
  return IoStatus::success();
}

constexpr std::size_t bounce_bytes = 1 << 20;
constexpr std::size_t bounce_alignment = 64 << 10;
using BounceBuffer = std::unique_ptr<std::byte, decltype(&std::free)>;

BounceBuffer make_bounce_buffer(std::size_t bytes) {
  const std::size_t rounded = (bytes + bounce_alignment - 1) / bounce_alignment * bounce_alignment;
  return {static_cast<std::byte*>(std::aligned_alloc(bounce_alignment, rounded)), &std::free};
}

/// All of a range, or the errno; EIO at the end of the file.
template <class F>
int move_all(F&& call, std::byte* data, Bytes range) {
  while (range.count > 0) {
    const ssize_t moved = call(data, range.count, static_cast<off_t>(range.offset));
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) return moved == 0 ? EIO : errno;
    data += moved;
    range.offset += static_cast<std::uint64_t>(moved);
    range.count -= static_cast<std::uint64_t>(moved);
  }
  return 0;
}

int read_all(int fd, std::byte* into, Bytes range) {
  return move_all([fd](void* to, std::size_t n, off_t at) { return ::pread(fd, to, n, at); }, into, range);
}

int write_all(int fd, std::byte* data, Bytes range) {
  return move_all([fd](const void* from, std::size_t n, off_t at) { return ::pwrite(fd, from, n, at); }, data, range);
}

int write_zeroes_by_writing(int fd, Bytes range) {
  const std::size_t chunk = std::min<std::uint64_t>(range.count, bounce_bytes);
  const BounceBuffer zeroes = make_bounce_buffer(chunk);
  if (zeroes == nullptr) return ENOMEM;
  std::fill_n(zeroes.get(), chunk, std::byte{0});
  for (std::uint64_t at = range.offset; at < range.end(); at += chunk) {
    const int error = write_all(fd, zeroes.get(), {at, std::min<std::uint64_t>(chunk, range.end() - at)});
    if (error != 0) return error;
  }
  return 0;
}

IoStatus write_zeroes(BackingFile& file, const Io& io) {
  const Bytes range = range_of(file, io);
  for (;;) {
    const ZeroMethod method = file.zero_method();
    const int mode = method == ZeroMethod::zero_range ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE;
    const int error = method == ZeroMethod::write ? write_zeroes_by_writing(file.fd(), range) : errno_of([&] {
      return ::fallocate(file.fd(), mode | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(range.offset),
                         static_cast<off_t>(range.count));
    });
    if (error == 0) return IoStatus::success();
    if (error != EOPNOTSUPP || method == ZeroMethod::write) return failed(file, io, range.offset, error);
    file.zero_method_failed(method);
  }
}

IoStatus unmap(BackingFile& file, const Io& io) {
  const Bytes range = range_of(file, io);
  const int error = errno_of([&] {
    if (file.kind() == FileKind::block_device) {
      std::uint64_t argument[2] = {range.offset, range.count};
      return ::ioctl(file.fd(), BLKDISCARD, argument);
    }
    return ::fallocate(file.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(range.offset),
                       static_cast<off_t>(range.count));
  });
  return error == 0 ? IoStatus::success() : failed(file, io, range.offset, error);
}

IoStatus flush(BackingFile& file, const Io& io) {
  const int error = errno_of([&] { return ::fdatasync(file.fd()); });
  return error == 0 ? IoStatus::success() : failed(file, io, 0, error);
}

/// Through a buffer; from the end when the destination lies behind the source, so that ranges may overlap.
int copy_by_bounce(int fd, Bytes from, std::uint64_t to) {
  const std::size_t chunk = std::min<std::uint64_t>(from.count, bounce_bytes);
  const BounceBuffer buffer = make_bounce_buffer(chunk);
  if (buffer == nullptr) return ENOMEM;
  const bool backwards = to > from.offset;
  for (std::uint64_t done = 0; done < from.count;) {
    const std::uint64_t count = std::min<std::uint64_t>(chunk, from.count - done);
    const std::uint64_t at = backwards ? from.count - done - count : done;
    int error = read_all(fd, buffer.get(), {from.offset + at, count});
    if (error == 0) error = write_all(fd, buffer.get(), {to + at, count});
    if (error != 0) return error;
    done += count;
  }
  return 0;
}

IoStatus copy(BackingFile& file, const Io& io) {
  const Bytes from{io.source_lba * file.block_size(), io.blocks * file.block_size()};
  const std::uint64_t to = io.lba * file.block_size();
  const bool overlap = from.offset < to + from.count && to < from.end();
  std::uint64_t done = 0;
  while (done < from.count && file.kind() == FileKind::regular && !overlap) {
    auto source = static_cast<loff_t>(from.offset + done);
    auto target = static_cast<loff_t>(to + done);
    const ssize_t copied = ::copy_file_range(file.fd(), &source, file.fd(), &target, from.count - done, 0);
    if (copied < 0 && errno == EINTR) continue;
    if (copied <= 0) break;  // not on this file system, or an error that the copy through memory will meet again
    done += static_cast<std::uint64_t>(copied);
  }
  // What is left starts at a block again: a call that stopped inside one is repeated from its start.
  done -= done % file.block_size();
  if (done == from.count) return IoStatus::success();
  const int error = copy_by_bounce(file.fd(), {from.offset + done, from.count - done}, to + done);
  return error == 0 ? IoStatus::success() : failed(file, io, to, error);
}

/// Where the next data or hole starts, or nothing; an errno through `error`.
std::optional<std::uint64_t> seek(int fd, std::uint64_t from, int whence, int& error) {
  const off_t found = ::lseek(fd, static_cast<off_t>(from), whence);
  if (found >= 0) return static_cast<std::uint64_t>(found);
  if (errno != ENXIO) error = errno;
  return std::nullopt;
}

IoStatus seek(BackingFile& file, Io& io) {
  const std::uint64_t block = file.block_size();
  std::uint64_t position = io.lba * block;
  int error = 0;
  io.result = UINT64_MAX;
  if (io.type == IoType::seek_data) {
    if (const auto data = seek(file.fd(), position, SEEK_DATA, error)) io.result = *data / block;
  } else {
    // A hole counts when it holds a whole block.
    while (const auto hole = seek(file.fd(), position, SEEK_HOLE, error)) {
      const std::uint64_t first = (*hole + block - 1) / block;
      const auto data = seek(file.fd(), *hole, SEEK_DATA, error);
      if (error != 0) break;
      if (data && *data < (first + 1) * block) {
        position = *data;
        continue;
      }
      io.result = first;
      break;
    }
  }
  const std::uint64_t device_blocks = io.slot().device().num_blocks().value;
  if (error == 0 && io.result >= device_blocks) io.result = UINT64_MAX;
  return error == 0 ? IoStatus::success() : failed(file, io, position, error);
}

}  // namespace

IoStatus execute_blocking(BackingFile& file, Io& io) noexcept {
  switch (io.type) {
    case IoType::read:
    case IoType::write: return transfer(file, io);
    case IoType::write_zeroes: return write_zeroes(file, io);
    case IoType::unmap: return unmap(file, io);
    case IoType::flush: return flush(file, io);
    case IoType::copy: return copy(file, io);
    case IoType::seek_data:
    case IoType::seek_hole: return seek(file, io);
    default: return IoStatus::misuse(Misuse::not_supported);
  }
}

}  // namespace spdkio::bdev::file
