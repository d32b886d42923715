#include <spdkio/bdev/io.hpp>

#include <spdkio/bdev/device_state.hpp>

namespace spdkio::bdev {

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
