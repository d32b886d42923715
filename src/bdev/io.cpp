#include <spdkio/bdev/io.hpp>

#include <spdkio/bdev/device_state.hpp>

namespace spdkio::bdev {

// Literals: `IoOperation` shows them in listings as C strings.
std::string_view to_string(IoType type) noexcept {
  switch (type) {
    case IoType::read: return "read";
    case IoType::write: return "write";
    case IoType::write_zeroes: return "write_zeroes";
    case IoType::unmap: return "unmap";
    case IoType::flush: return "flush";
    case IoType::reset: return "reset";
    case IoType::compare: return "compare";
    case IoType::compare_and_write: return "compare_and_write";
    case IoType::copy: return "copy";
    case IoType::abort: return "abort";
    case IoType::seek_data: return "seek_data";
    case IoType::seek_hole: return "seek_hole";
    case IoType::zone_report: return "get_zone_info";
    case IoType::zone_management: return "zone_management";
    case IoType::zone_append: return "zone_append";
    case IoType::nvme_admin: return "nvme_admin";
    case IoType::nvme_io: return "nvme_io";
  }
  return "unknown";
}

std::string_view to_string(Claim claim) noexcept {
  switch (claim) {
    case Claim::none: return "none";
    case Claim::exclusive_write: return "exclusive_write";
    case Claim::read_many_write_none: return "read_many_write_none";
    case Claim::read_many_write_shared: return "read_many_write_shared";
  }
  return "unknown";
}

}  // namespace spdkio::bdev
