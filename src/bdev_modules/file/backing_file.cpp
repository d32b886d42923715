#include "bdev_modules/file/backing_file.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <system_error>

#include "bdev_modules/file/block_queue.hpp"
#include "bdev_modules/file/direct_io.hpp"

namespace spdkio::bdev::file {
namespace {

constexpr std::uint32_t smallest_block = 512;

Error with_names(Error error, const FileSettings& settings) {
  return error.with_operation("create_file").with_device(settings.name);
}

Error invalid(const FileSettings& settings, const std::string& message, std::string_view hint) {
  return with_names(Error(Misuse::invalid_argument, message).with_hint(hint), settings);
}

Error system_error(const FileSettings& settings, int errno_value, std::string_view doing) {
  Error error = Error::from_errno(errno_value, fmt::format("cannot {} '{}'", doing, settings.filename));
  switch (errno_value) {
    case ENOENT:
    case ENOTDIR: error = error.with_hint("the file must exist; `truncate -s 1G FILE` makes one"); break;
    case EACCES:
    case EPERM:
    case EROFS:
    case ETXTBSY:
      error = error.with_hint(settings.read_only ? "give this user the right to read it"
                                                 : "give this user the right to write it, or open it read-only");
      break;
    case EMFILE:
    case ENFILE: error = error.with_hint("raise the limit of open files: ulimit -n"); break;
    default: break;
  }
  return with_names(std::move(error), settings);
}

/// Only regular files and block devices; opening anything else may hang (a pipe) or do something (a tape).
void check_kind(const FileSettings& settings, mode_t mode) {
  const char* what = nullptr;
  if (S_ISREG(mode) || S_ISBLK(mode)) return;
  if (S_ISDIR(mode)) what = "a directory";
  if (S_ISCHR(mode)) what = "a character device";
  if (S_ISFIFO(mode)) what = "a pipe";
  if (S_ISSOCK(mode)) what = "a socket";
  throw invalid(settings, fmt::format("'{}' is {}", settings.filename, what != nullptr ? what : "no file"),
                "name a regular file or a block device");
}

std::uint64_t size_of(int fd, const struct stat& info) {
  if (S_ISREG(info.st_mode)) return static_cast<std::uint64_t>(info.st_size);
  std::uint64_t bytes = 0;
  if (::ioctl(fd, BLKGETSIZE64, &bytes) != 0) throw std::system_error(errno, std::generic_category());
  return bytes;
}

std::uint32_t logical_block_size(int fd) {
  int bytes = 0;
  return ::ioctl(fd, BLKSSZGET, &bytes) == 0 && bytes > 0 ? static_cast<std::uint32_t>(bytes) : smallest_block;
}

std::uint32_t physical_block_size_of(int fd, const struct stat& info) {
  if (S_ISREG(info.st_mode)) return static_cast<std::uint32_t>(info.st_blksize);
  unsigned int bytes = 0;
  return ::ioctl(fd, BLKPBSZGET, &bytes) == 0 ? bytes : 0;
}

}  // namespace

std::shared_ptr<BackingFile> BackingFile::open(const FileSettings& settings) {
  if (settings.name.empty()) throw invalid(settings, "a bdev needs a name", "set `name`");
  if (settings.filename.empty()) throw invalid(settings, "there is no filename", "set `filename`");
  if (settings.block_size != 0 && (settings.block_size < smallest_block || !std::has_single_bit(settings.block_size))) {
    throw invalid(settings, fmt::format("block size {} for '{}' can't be", settings.block_size, settings.filename),
                  "use a power of two from 512, or 0 to detect it");
  }

  struct stat info{};
  if (::stat(settings.filename.c_str(), &info) != 0) throw system_error(settings, errno, "open");
  check_kind(settings, info.st_mode);

  std::shared_ptr<BackingFile> file(new BackingFile);
  file->device_name_ = settings.name;
  file->filename_ = settings.filename;
  file->read_only_ = settings.read_only;
  file->fd_ =
      UniqueFd(::open(settings.filename.c_str(), (settings.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY));
  if (!file->fd_) throw system_error(settings, errno, "open");
  if (::fstat(file->fd(), &info) != 0) throw system_error(settings, errno, "examine");
  check_kind(settings, info.st_mode);

  file->kind_ = S_ISREG(info.st_mode) ? FileKind::regular : FileKind::block_device;
  if (settings.nowait && file->kind_ != FileKind::block_device) {
    throw with_names(
        Error(std::errc::operation_not_supported, fmt::format("'{}' is no block device", settings.filename))
            .with_hint("nowait is for block devices only: leave it out"),
        settings);
  }
  int unwritable = 0;
  // Opening it for writing succeeds all the same.
  if (!settings.read_only && file->kind_ == FileKind::block_device && ::ioctl(file->fd(), BLKROGET, &unwritable) == 0 &&
      unwritable != 0) {
    throw system_error(settings, EROFS, "write to");
  }
  try {
    file->size_at_open_ = size_of(file->fd(), info);
  } catch (const std::system_error& error) {
    throw system_error(settings, error.code().value(), "find the size of");
  }
  if (file->size_at_open_ == 0) {
    throw invalid(settings, fmt::format("'{}' is empty", settings.filename),
                  file->kind_ == FileKind::regular ? "give it a size: truncate -s 1G FILE" : "insert a medium");
  }

  const std::uint32_t direct_alignment = settings.direct == DirectIo::off ? 0 : direct_io_alignment(file->fd());
  file->choose_block_size(settings, direct_alignment);
  file->choose_direct_io(settings, direct_alignment);
  file->physical_block_size_ = std::max(physical_block_size_of(file->fd(), info), file->block_size_);
  const dev_t disk = file->kind_ == FileKind::regular ? info.st_dev : info.st_rdev;
  file->rotational_ = queue_attribute(disk, "rotational").value_or(0) != 0;
  if (settings.fallocate && !settings.read_only) {
    // Beyond the end a hole changes nothing: it only tells whether the file system has them.
    file->can_unmap_ = file->kind_ == FileKind::block_device
                           ? queue_attribute(disk, "discard_max_bytes").value_or(0) > 0
                           : ::fallocate(file->fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                         static_cast<off_t>(file->size_at_open_), file->physical_block_size_) == 0;
  }
  return file;
}

void BackingFile::choose_block_size(const FileSettings& settings, std::uint32_t direct_alignment) {
  const std::uint32_t logical = kind_ == FileKind::block_device ? logical_block_size(fd()) : smallest_block;
  block_size_ = settings.block_size;
  if (block_size_ == 0) block_size_ = std::max(logical, direct_alignment);
  if (kind_ == FileKind::block_device && block_size_ < logical && settings.direct != DirectIo::off) {
    throw invalid(settings,
                  fmt::format("'{}' has blocks of {} bytes; {} is too small", filename_, logical, block_size_),
                  fmt::format("use a block size of {}, or 0 to detect it", logical));
  }
  if (size_at_open_ % block_size_ != 0 && settings.block_size == 0 && size_at_open_ % smallest_block == 0 &&
      settings.direct == DirectIo::automatic && kind_ == FileKind::regular) {
    block_size_ = smallest_block;  // whole blocks matter more than going past the page cache
  }
  if (size_at_open_ < block_size_ || (size_at_open_ % block_size_ != 0 && !settings.round_down)) {
    throw invalid(settings,
                  fmt::format("the {} bytes of '{}' are not a whole number of {}-byte blocks", size_at_open_, filename_,
                              block_size_),
                  fmt::format("make it {} bytes, take a smaller block size, or set `round_down` to leave out the rest",
                              (size_at_open_ / block_size_ + 1) * block_size_));
  }
  if (size_at_open_ % block_size_ != 0 && !settings.rest_expected) {
    log::warn("bdev '{}': the last {} bytes of '{}' are less than a block and left out", device_name_,
              size_at_open_ % block_size_, filename_);
  }
}

void BackingFile::choose_direct_io(const FileSettings& settings, std::uint32_t direct_alignment) {
  if (settings.direct == DirectIo::off) return;
  std::string obstacle;
  if (direct_alignment == 0) {
    obstacle = "its file system does not do direct I/O";
  } else if (direct_alignment > block_size_) {
    obstacle = fmt::format("direct I/O needs blocks of {} bytes, not {}", direct_alignment, block_size_);
  } else if (::fcntl(fd(), F_SETFL, ::fcntl(fd(), F_GETFL) | O_DIRECT) != 0) {
    obstacle = std::generic_category().message(errno);
  }
  if (obstacle.empty()) {
    alignment_ = direct_alignment;
    return;
  }
  if (settings.direct == DirectIo::on) {
    throw invalid(settings, fmt::format("no direct I/O on '{}': {}", filename_, obstacle),
                  direct_alignment > block_size_ ? fmt::format("use a block size of {}", direct_alignment)
                                                 : std::string("go through the page cache: direct off"));
  }
  log::info("bdev '{}' goes through the page cache of '{}': {}", device_name_, filename_, obstacle);
}

std::uint64_t BackingFile::current_size() const {
  int failure = 0;
  try {
    struct stat info{};
    if (::fstat(fd(), &info) == 0) return size_of(fd(), info);
    failure = errno;
  } catch (const std::system_error& error) {
    failure = error.code().value();
  }
  throw Error::from_errno(failure, fmt::format("cannot find the size of '{}'", filename_)).with_device(device_name_);
}

bool BackingFile::vanished() const noexcept {
  std::uint64_t bytes = 0;
  return kind_ == FileKind::block_device && (::ioctl(fd(), BLKGETSIZE64, &bytes) != 0 || bytes == 0);
}

void BackingFile::zero_method_failed(ZeroMethod failed) noexcept {
  auto next = failed == ZeroMethod::zero_range ? ZeroMethod::punch_hole : ZeroMethod::write;
  if (next == ZeroMethod::punch_hole && !can_unmap_) next = ZeroMethod::write;
  zero_method_.compare_exchange_strong(failed, next, std::memory_order_relaxed);
}

bool BackingFile::worth_a_line() noexcept {
  return std::has_single_bit(failures_.fetch_add(1, std::memory_order_relaxed) + 1);
}

void BackingFile::report_failure(std::string_view operation, std::uint64_t offset, int errno_value) noexcept {
  if (!worth_a_line()) return;
  try {
    log::error("bdev '{}': {} at byte {} of '{}' failed: {} ({} failures so far)", device_name_, operation, offset,
               filename_, std::generic_category().message(errno_value), failures_.load(std::memory_order_relaxed));
  } catch (...) {  // no memory for the text: the status still tells
  }
}

void BackingFile::report_end_of_file(std::uint64_t offset) noexcept {
  if (!worth_a_line()) return;
  log::error("bdev '{}': '{}' was shortened: it ends at byte {}, inside the device ({} failures so far)", device_name_,
             filename_, offset, failures_.load(std::memory_order_relaxed));
}

}  // namespace spdkio::bdev::file
