// What Identify asks and the lists that it returns. NVMe Base Specification 2.x, "Identify command".
#pragma once

#include <spdkio/spec/command.hpp>
#include <spdkio/spec/endian.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <array>
#include <cstdint>

namespace spdkio::spec {

/// Controller or Namespace Structure.
enum class Cns : std::uint8_t {
  ns = 0x00,
  controller = 0x01,
  active_ns_list = 0x02,
  ns_id_descriptors = 0x03,
  nvm_set_list = 0x04,
  command_set_ns = 0x05,          ///< by CSI
  command_set_controller = 0x06,  ///< by CSI
  command_set_active_ns_list = 0x07,
  independent_ns = 0x08,
  allocated_ns_list = 0x10,
  allocated_ns = 0x11,
  ns_attached_controllers = 0x12,
  controller_list = 0x13,
  primary_controller_capabilities = 0x14,
  secondary_controller_list = 0x15,
  ns_granularity_list = 0x16,
  uuid_list = 0x17,
  command_set_combinations = 0x1C,
};

/// Command Set Identifier.
enum class Csi : std::uint8_t { nvm = 0, key_value = 1, zoned = 2, subsystem_local_memory = 3, computational = 4 };

/// Bytes that every Identify transfers.
constexpr std::uint32_t identify_bytes = 4096;

constexpr Command identify_command(Cns cns, std::uint32_t nsid = 0, std::uint16_t cntid = 0,
                                   Csi csi = Csi::nvm) noexcept {
  Command command;
  command.opcode = raw(AdminOpcode::identify);
  command.nsid = nsid;
  command.cdw10 = static_cast<std::uint32_t>(cns) | static_cast<std::uint32_t>(cntid) << 16;
  command.cdw11 = static_cast<std::uint32_t>(csi) << 24;
  return command;
}

/// Up to 1024 namespace identifiers in increasing order, ended by 0 when there are fewer.
struct NamespaceList {
  std::array<Le32, 1024> nsid{};
};
static_assert(sizeof(NamespaceList) == 4096);

/// Controller identifiers: `count` of them.
struct ControllerList {
  Le16 count;
  std::array<Le16, 2047> cntlid{};
};
static_assert(sizeof(ControllerList) == 4096);

/// Namespace Identifier Type of a descriptor.
enum class NsIdType : std::uint8_t { eui64 = 1, nguid = 2, uuid = 3, csi = 4 };

/// Head of a Namespace Identification Descriptor; `length` bytes follow. A `type` of 0 ends the list.
struct NsIdDescriptor {
  std::uint8_t type = 0;
  std::uint8_t length = 0;
  Reserved<2> reserved{};
};
static_assert(sizeof(NsIdDescriptor) == 4);

}  // namespace spdkio::spec
