// Commands that change what a device is: Format NVM, Sanitize, Namespace Management and Attachment. NVMe Base
// Specification 2.x.
#pragma once

#include <spdkio/spec/command.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <cstdint>

namespace spdkio::spec {

enum class SecureErase : std::uint8_t { none = 0, user_data = 1, cryptographic = 2 };

/// `format` is an index into the LBA formats, 0 to 63.
constexpr Command format_nvm_command(std::uint32_t nsid, std::uint32_t format, SecureErase erase,
                                     bool metadata_interleaved, std::uint32_t protection_type,
                                     bool protection_first) noexcept {
  Command command;
  command.opcode = raw(AdminOpcode::format_nvm);
  command.nsid = nsid;
  command.cdw10 = (format & 0xF) | (metadata_interleaved ? 1u << 4 : 0) | (protection_type & 7) << 5 |
                  (protection_first ? 1u << 8 : 0) | static_cast<std::uint32_t>(erase) << 9 | (format >> 4 & 3) << 12;
  return command;
}

enum class SanitizeAction : std::uint8_t { exit_failure = 1, block_erase = 2, overwrite = 3, crypto_erase = 4 };

/// `overwrite_passes` is 1 to 16.
constexpr Command sanitize_command(SanitizeAction action, bool allow_unrestricted_exit, std::uint32_t overwrite_passes,
                                   bool invert_between_passes, bool no_deallocate,
                                   std::uint32_t overwrite_pattern) noexcept {
  Command command;
  command.opcode = raw(AdminOpcode::sanitize);
  command.cdw10 = static_cast<std::uint32_t>(action) | (allow_unrestricted_exit ? 1u << 3 : 0) |
                  (overwrite_passes & 0xF) << 4 | (invert_between_passes ? 1u << 8 : 0) | (no_deallocate ? 1u << 9 : 0);
  command.cdw11 = overwrite_pattern;
  return command;
}

/// The data is an IdentifyNamespace with the fields that the specification lets the host choose; DW0 of the answer is
/// the new namespace identifier.
constexpr Command create_namespace_command(std::uint8_t csi = 0) noexcept {
  Command command;
  command.opcode = raw(AdminOpcode::namespace_management);
  command.cdw11 = static_cast<std::uint32_t>(csi) << 24;
  return command;
}
constexpr Command delete_namespace_command(std::uint32_t nsid) noexcept {
  Command command;
  command.opcode = raw(AdminOpcode::namespace_management);
  command.nsid = nsid;
  command.cdw10 = 1;
  return command;
}
/// The data is a ControllerList.
constexpr Command attach_namespace_command(std::uint32_t nsid, bool attach) noexcept {
  Command command;
  command.opcode = raw(AdminOpcode::namespace_attachment);
  command.nsid = nsid;
  command.cdw10 = attach ? 0 : 1;
  return command;
}

}  // namespace spdkio::spec
