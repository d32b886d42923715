// Copies one block device onto another inside a running App, from all cores.
#pragma once

#include "spdkio/terminal/terminal.hpp"

#include <spdkio/app/app.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace spdkio::tool {

struct CopyPlan {
  std::string source;       ///< name of a block device
  std::string destination;  ///< likewise; at least as large
  std::uint64_t io_bytes = std::uint64_t{1} << 20;
  std::uint32_t queue_depth = 8;     ///< per core
  bool keep_holes = true;            ///< zeroes are not written as data
  bool destination_is_zero = false;  ///< freshly made: holes need nothing at all
  bool verify = false;               ///< read the destination back and compare checksums
};

struct CopyOutcome {
  std::uint64_t total_bytes = 0;
  std::uint64_t data_bytes = 0;  ///< written as data
  std::uint64_t hole_bytes = 0;  ///< zeroes that were not
  double copy_s = 0;
  double verify_s = 0;
  std::uint32_t source_crc = 0;                   ///< CRC-32C of everything read
  std::optional<std::uint32_t> destination_crc;   ///< CRC-32C of everything read back
  std::optional<std::uint64_t> first_difference;  ///< offset of the first piece that differs
};

/// On the app thread. Progress goes to `terminal`. Throws `Failure` when the devices do not fit each other or the user
/// asked to stop, Error when I/O fails.
Task<CopyOutcome> run_copy(App& app, const CopyPlan& plan, const Terminal& terminal);

}  // namespace spdkio::tool
