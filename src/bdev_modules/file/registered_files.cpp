#include "bdev_modules/file/registered_files.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace spdkio::bdev::file {
namespace {

constexpr std::size_t table_size = 256;

}  // namespace

RegisteredFiles::RegisteredFiles(io_uring& ring) : ring_(ring) {
  rlimit limit{};
  std::size_t size = table_size;
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) size = std::min<std::size_t>(size, limit.rlim_cur);
  const std::vector<int> none(size, -1);
  if (io_uring_register_files(&ring_, none.data(), static_cast<unsigned>(size)) == 0) used_.resize(size, false);
}

int RegisteredFiles::add(int fd) noexcept {
  const auto place = std::find(used_.begin(), used_.end(), false);
  if (place == used_.end()) return -1;
  const auto number = static_cast<int>(place - used_.begin());
  if (io_uring_register_files_update(&ring_, static_cast<unsigned>(number), &fd, 1) != 1) return -1;
  *place = true;
  return number;
}

void RegisteredFiles::remove(int number) noexcept {
  if (number < 0) return;
  int none = -1;
  // A place that could not be emptied stays taken.
  if (io_uring_register_files_update(&ring_, static_cast<unsigned>(number), &none, 1) == 1) {
    used_[static_cast<std::size_t>(number)] = false;
  }
}

}  // namespace spdkio::bdev::file
