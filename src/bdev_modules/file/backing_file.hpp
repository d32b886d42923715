// BackingFile: the open file under a device, and what was found out about it.
#pragma once

#include <spdkio/base/unique_fd.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bdev_modules/file/file_settings.hpp"

namespace spdkio::bdev::file {

enum class FileKind : std::uint8_t { regular, block_device };

/// How the file makes a range read as zeroes. A file system that lacks one falls to the next, for good.
enum class ZeroMethod : std::uint8_t { zero_range, punch_hole, write };

/// Shared by the device, its channels and the helper threads. Fixed but for what is atomic.
class BackingFile {
 public:
  /// Opens and examines the file; throws Error naming it. Blocks.
  static std::shared_ptr<BackingFile> open(const FileSettings& settings);

  int fd() const noexcept { return fd_.get(); }
  const std::string& device_name() const noexcept { return device_name_; }
  const std::string& filename() const noexcept { return filename_; }
  FileKind kind() const noexcept { return kind_; }
  bool read_only() const noexcept { return read_only_; }
  bool direct() const noexcept { return alignment_ > 1; }
  /// Bytes, a power of two, for buffers; 1 through the page cache.
  std::uint32_t alignment() const noexcept { return alignment_; }
  std::uint32_t block_size() const noexcept { return block_size_; }
  std::uint32_t physical_block_size() const noexcept { return physical_block_size_; }
  std::uint64_t size_at_open() const noexcept { return size_at_open_; }
  bool rotational() const noexcept { return rotational_; }
  bool can_unmap() const noexcept { return can_unmap_; }

  /// Bytes now. Throws Error naming the file. Blocks.
  std::uint64_t current_size() const;

  /// True for a block device that the system has taken away, which shows as size zero for as long as it is open. Any
  /// thread; does not block.
  bool vanished() const noexcept;
  /// True the first time.
  bool start_removal() noexcept { return !removal_started_.exchange(true, std::memory_order_relaxed); }

  ZeroMethod zero_method() const noexcept { return zero_method_.load(std::memory_order_relaxed); }
  /// `failed` is not supported here: the next method is used from now on.
  void zero_method_failed(ZeroMethod failed) noexcept;

  /// Logs that an operation failed: the first time, then when the number of failures has doubled, so that a dead disk
  /// does not flood the log. `offset` is in bytes.
  void report_failure(std::string_view operation, std::uint64_t offset, int errno_value) noexcept;
  void report_end_of_file(std::uint64_t offset) noexcept;

 private:
  BackingFile() = default;
  void choose_block_size(const FileSettings& settings, std::uint32_t direct_alignment);
  void choose_direct_io(const FileSettings& settings, std::uint32_t direct_alignment);
  bool worth_a_line() noexcept;

  UniqueFd fd_;
  std::string device_name_;
  std::string filename_;
  FileKind kind_ = FileKind::regular;
  bool read_only_ = false;
  bool rotational_ = false;
  bool can_unmap_ = false;
  std::uint32_t alignment_ = 1;
  std::uint32_t block_size_ = 0;
  std::uint32_t physical_block_size_ = 0;
  std::uint64_t size_at_open_ = 0;
  std::atomic<ZeroMethod> zero_method_{ZeroMethod::zero_range};
  std::atomic<std::uint64_t> failures_{0};
  std::atomic<bool> removal_started_{false};
};

}  // namespace spdkio::bdev::file
