#include "nvmf/transport_settings.hpp"

#include <spdkio/base/error.hpp>

#include <fmt/format.h>

#include <bit>

namespace spdkio::nvmf {
namespace {

void require(bool fits, std::string_view name, std::string_view rule) {
  if (!fits) {
    throw Error(Misuse::invalid_argument, fmt::format("{} {}", name, rule)).with_operation("add_transport");
  }
}

}  // namespace

void check_options(const TransportOptions& options) {
  constexpr std::uint32_t longest_io = 2u << 20;
  constexpr std::uint32_t longest_capsule = 1u << 20;
  require(options.max_queue_depth >= 2 && options.max_queue_depth <= 65535, "max_queue_depth", "must be 2 to 65535");
  require(options.max_aq_depth >= 32 && options.max_aq_depth <= 4096, "max_aq_depth", "must be 32 to 4096");
  require(options.max_io_qpairs_per_ctrlr >= 1 && options.max_io_qpairs_per_ctrlr <= 65534, "max_io_qpairs_per_ctrlr",
          "must be 1 to 65534");
  require(options.max_io_size >= 8192 && options.max_io_size <= longest_io && std::has_single_bit(options.max_io_size),
          "max_io_size", "must be a power of two from 8192 to 2097152");
  require(options.in_capsule_data_size % 16 == 0 && options.in_capsule_data_size <= longest_capsule,
          "in_capsule_data_size", "must be a multiple of 16, at most 1048576");
  require(options.in_capsule_data_size <= options.max_io_size, "in_capsule_data_size", "must not be above max_io_size");
  require(options.buffer_bytes >= options.max_io_size, "buffer_bytes", "must not be below max_io_size");
  require(options.max_connections >= 1, "max_connections", "must be at least 1");
  require(options.backlog >= 1, "backlog", "must be at least 1");
  require(options.connect_timeout > options.connect_timeout.zero(), "connect_timeout", "must be positive");
}

}  // namespace spdkio::nvmf
