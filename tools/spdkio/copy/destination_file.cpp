
#include "spdkio/copy/destination_file.hpp"

#include "spdkio/cli/failure.hpp"

#include <spdkio/base/unique_fd.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace spdkio::tool {

bool DestinationFile::make_ready(const std::function<std::uint64_t()>& source_bytes) const {
  struct stat there{};
  const bool exists = ::stat(path_.c_str(), &there) == 0;
  if (!exists && errno != ENOENT) throw Failure{fmt::format("{}: {}", path_, std::strerror(errno))};
  if (exists) {
    struct stat source{};
    const bool same = !source_path_.empty() && ::stat(source_path_.c_str(), &source) == 0 &&
                      source.st_dev == there.st_dev && source.st_ino == there.st_ino;
    if (same) throw Failure::usage(fmt::format("{} and {} are the same file", source_path_, path_));
    if (S_ISDIR(there.st_mode)) throw Failure::usage(fmt::format("{} is a folder", path_), "name the file in it");
    if (!overwrite_ && (S_ISBLK(there.st_mode) || there.st_size != 0)) {
      throw Failure::usage(fmt::format("{} {}", path_, S_ISBLK(there.st_mode) ? "is a block device" : "exists already"),
                           "--overwrite says that it may be overwritten");
    }
    if (!S_ISREG(there.st_mode)) return false;
  }
  // Before the file is touched: a source that cannot be opened must not cost an old copy.
  const std::uint64_t bytes = source_bytes();
  const UniqueFd file{::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
  if (!file) throw Failure{fmt::format("{} cannot be written: {}", path_, std::strerror(errno))};
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) {
    throw Failure{fmt::format("{} cannot be made {} bytes long: {}", path_, bytes, std::strerror(errno))};
  }
  return true;
}

}  // namespace spdkio::tool
