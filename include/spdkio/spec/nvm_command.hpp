// Commands of the NVM command set, made from what they mean. NVM Command Set Specification 1.x, "I/O Commands".
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/spec/command.hpp>
#include <spdkio/spec/endian.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <array>
#include <cstdint>

namespace spdkio::spec {

/// Bits of CDW12 of commands with a block range.
namespace nvm_flags {
inline constexpr std::uint32_t deallocate = 1u << 25;           ///< Write Zeroes: the blocks may be deallocated
inline constexpr std::uint32_t check_reference_tag = 1u << 26;  ///< PRINFO.PRCHK
inline constexpr std::uint32_t check_application_tag = 1u << 27;
inline constexpr std::uint32_t check_guard = 1u << 28;
inline constexpr std::uint32_t protection_action = 1u << 29;  ///< PRACT: the controller adds and strips protection
inline constexpr std::uint32_t force_unit_access = 1u << 30;
inline constexpr std::uint32_t limited_retry = 1u << 31;
}  // namespace nvm_flags

/// The longest range of one command, blocks.
constexpr std::uint32_t nvm_max_blocks = 65536;

namespace nvm {

/// Read, Write, Compare, Write Zeroes, Verify and Write Uncorrectable: `range.count` is 1 to 65536 blocks.
constexpr Command ranged(NvmOpcode opcode, std::uint32_t nsid, LbaRange range, std::uint32_t flags = 0) noexcept {
  Command command;
  command.opcode = raw(opcode);
  command.nsid = nsid;
  command.set_cdw10_11(range.first.value);
  command.cdw12 = static_cast<std::uint32_t>(range.count.value - 1) | flags;
  return command;
}
constexpr Command read(std::uint32_t nsid, LbaRange range, std::uint32_t flags = 0) noexcept {
  return ranged(NvmOpcode::read, nsid, range, flags);
}
constexpr Command write(std::uint32_t nsid, LbaRange range, std::uint32_t flags = 0) noexcept {
  return ranged(NvmOpcode::write, nsid, range, flags);
}
/// The range of such a command.
constexpr LbaRange range_of(const Command& command) noexcept {
  return {Lba{command.cdw10_11()}, BlockCount{(command.cdw12.value() & 0xFFFFu) + 1}};
}

constexpr Command flush(std::uint32_t nsid) noexcept {
  Command command;
  command.opcode = raw(NvmOpcode::flush);
  command.nsid = nsid;
  return command;
}

/// `ranges` is 1 to 256; `attributes`: bit 2 deallocate.
constexpr Command dataset_management(std::uint32_t nsid, std::uint32_t ranges, std::uint32_t attributes) noexcept {
  Command command;
  command.opcode = raw(NvmOpcode::dataset_management);
  command.nsid = nsid;
  command.cdw10 = ranges - 1;
  command.cdw11 = attributes;
  return command;
}

/// `ranges` is 1 to 256, of descriptor format 0.
constexpr Command copy(std::uint32_t nsid, Lba destination, std::uint32_t ranges) noexcept {
  Command command;
  command.opcode = raw(NvmOpcode::copy);
  command.nsid = nsid;
  command.set_cdw10_11(destination.value);
  command.cdw12 = (ranges - 1) & 0xFF;
  return command;
}

}  // namespace nvm

/// Attribute of Dataset Management: deallocate.
inline constexpr std::uint32_t dsm_deallocate = 1u << 2;

/// A range of Dataset Management.
struct DsmRange {
  Le32 attributes;
  Le32 blocks;
  Le64 lba;
};
static_assert(sizeof(DsmRange) == 16);
constexpr std::uint32_t dsm_max_ranges = 256;

/// Copy source range, descriptor format 0.
struct CopyRange {
  Reserved<8> reserved0{};
  Le64 lba;
  Le16 blocks;  ///< 0's based
  Reserved<6> reserved18{};
  Le32 expected_reference_tag;
  Le16 expected_application_tag;
  Le16 expected_application_tag_mask;
};
static_assert(sizeof(CopyRange) == 32);

/// Protection information of 8 bytes; its fields are big endian.
struct ProtectionInfo {
  Be16 guard;
  Be16 application_tag;
  Be32 reference_tag;
};
static_assert(sizeof(ProtectionInfo) == 8);

}  // namespace spdkio::spec
