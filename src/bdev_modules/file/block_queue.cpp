#include "bdev_modules/file/block_queue.hpp"

#include <fmt/format.h>
#include <sys/sysmacros.h>

#include <fstream>

namespace spdkio::bdev::file {

std::optional<std::uint64_t> queue_attribute(dev_t device, const char* attribute) {
  const std::string folder = fmt::format("/sys/dev/block/{}:{}", ::major(device), ::minor(device));
  for (const char* queue : {"/queue/", "/../queue/"}) {
    std::ifstream in(folder + queue + attribute);
    std::uint64_t value = 0;
    if (in >> value) return value;
  }
  return std::nullopt;
}

}  // namespace spdkio::bdev::file
