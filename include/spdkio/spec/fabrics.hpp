// Fabrics commands and the data that goes with them. NVMe Base Specification 2.x, "Fabrics Command Set" and
// "Controller Properties".
#pragma once

#include <spdkio/spec/command.hpp>
#include <spdkio/spec/completion.hpp>
#include <spdkio/spec/endian.hpp>

#include <spdkio/base/nvme_status.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace spdkio::spec::fabrics {

/// Opcode of all Fabrics commands.
inline constexpr std::uint8_t opcode = 0x7F;

/// FCTYPE: bits 7:0 of the NSID dword.
enum class CommandType : std::uint8_t {
  property_set = 0x00,
  connect = 0x01,
  property_get = 0x04,
  authentication_send = 0x05,
  authentication_receive = 0x06,
  disconnect = 0x08,
};

/// FCTYPE of a Fabrics command.
constexpr CommandType command_type(const Command& command) noexcept {
  return static_cast<CommandType>(command.nsid.value() & 0xFF);
}

/// The way data goes with a command of the admin queue: a Fabrics command has it in FCTYPE, others in the opcode.
constexpr DataTransfer data_transfer_of(const Command& command) noexcept {
  const auto bits = command.opcode == opcode ? command.nsid.value() & 3u : command.opcode & 3u;
  return static_cast<DataTransfer>(bits);
}

// ---- Connect

/// The Connect command.
struct ConnectCommand {
  std::uint8_t opcode = fabrics::opcode;
  std::uint8_t flags = 0x40;
  Le16 cid;
  CommandType fctype = CommandType::connect;
  Reserved<19> reserved{};
  SglDescriptor sgl;
  Le16 recfmt;
  Le16 qid;
  Le16 sqsize;  ///< 0's based
  std::uint8_t cattr = 0;
  std::uint8_t reserved2 = 0;
  Le32 kato;  ///< milliseconds; 0: no keep-alive
  Reserved<12> reserved3{};
};
static_assert(sizeof(ConnectCommand) == 64);

/// Bits of ConnectCommand::cattr.
inline constexpr std::uint8_t cattr_disable_sq_flow_control = 1 << 2;
inline constexpr std::uint8_t cattr_individual_queue_deletion = 1 << 3;

/// CNTLID of a Connect that leaves the choice to the dynamic controller model.
inline constexpr std::uint16_t any_controller = 0xFFFF;

/// The data of a Connect command.
struct ConnectData {
  std::array<std::uint8_t, 16> hostid{};
  Le16 cntlid;
  Reserved<238> reserved{};
  std::array<char, 256> subnqn{};
  std::array<char, 256> hostnqn{};
  Reserved<256> reserved2{};
};
static_assert(sizeof(ConnectData) == 1024);

/// DW0 of a successful Connect: the controller id.
constexpr std::uint16_t connect_cntlid(const Completion& completion) noexcept {
  return static_cast<std::uint16_t>(completion.dw0.value() & 0xFFFF);
}
/// DW0 of a Connect that failed with invalid_parameters: which parameter, in the data or in the command.
constexpr std::uint32_t connect_invalid_parameter(bool in_data, std::uint16_t offset) noexcept {
  return offset | (in_data ? 1u << 16 : 0);
}

/// Status codes of Fabrics commands, command specific.
namespace sc {
inline constexpr NvmeStatus incompatible_format{.sct = 1, .sc = 0x80};
inline constexpr NvmeStatus controller_busy{.sct = 1, .sc = 0x81};
inline constexpr NvmeStatus invalid_parameters{.sct = 1, .sc = 0x82};
inline constexpr NvmeStatus restart_discovery{.sct = 1, .sc = 0x83};
inline constexpr NvmeStatus invalid_host{.sct = 1, .sc = 0x84};
inline constexpr NvmeStatus invalid_queue_type{.sct = 1, .sc = 0x85};
inline constexpr NvmeStatus discover_restart{.sct = 1, .sc = 0x90};
inline constexpr NvmeStatus authentication_required{.sct = 1, .sc = 0x91};
}  // namespace sc

/// What a status means as the answer to a Fabrics command: command specific codes from 80h on are other ones than those
/// of I/O commands, which NvmeStatus::text knows. Static storage.
std::string_view status_text(const NvmeStatus& status) noexcept;

// ---- Properties

struct PropertyGetCommand {
  std::uint8_t opcode = fabrics::opcode;
  std::uint8_t flags = 0x40;
  Le16 cid;
  CommandType fctype = CommandType::property_get;
  Reserved<35> reserved{};
  std::uint8_t attrib = 0;  ///< bits 2:0: 0: 4 bytes, 1: 8 bytes
  Reserved<3> reserved2{};
  Le32 offset;
  Reserved<16> reserved3{};
};
static_assert(sizeof(PropertyGetCommand) == 64);

struct PropertySetCommand {
  std::uint8_t opcode = fabrics::opcode;
  std::uint8_t flags = 0x40;
  Le16 cid;
  CommandType fctype = CommandType::property_set;
  Reserved<35> reserved{};
  std::uint8_t attrib = 0;
  Reserved<3> reserved2{};
  Le32 offset;
  Le64 value;
  Reserved<8> reserved3{};
};
static_assert(sizeof(PropertySetCommand) == 64);

/// Properties are the registers of a controller on PCIe, at the same offsets.
namespace property {
inline constexpr std::uint32_t cap = 0x00;  ///< 8 bytes
inline constexpr std::uint32_t vs = 0x08;
inline constexpr std::uint32_t cc = 0x14;
inline constexpr std::uint32_t csts = 0x1C;
inline constexpr std::uint32_t nssr = 0x20;
inline constexpr std::uint32_t crto = 0x68;
}  // namespace property

// ---- Names

inline constexpr std::string_view discovery_nqn = "nqn.2014-08.org.nvmexpress.discovery";
inline constexpr std::string_view uuid_nqn_prefix = "nqn.2014-08.org.nvmexpress:uuid:";
inline constexpr std::size_t max_nqn_length = 223;

/// Empty when `nqn` is an NVMe Qualified Name (Base Specification, "NVMe Qualified Names"): `nqn.yyyy-mm.` and a domain
/// in reverse, with whatever follows a colon; or the form with a UUID; at most 223 bytes of UTF-8 without control
/// characters. Otherwise what is wrong with it, for people.
std::string nqn_problem(std::string_view nqn);

/// The text of a fixed field that ends at its first NUL, or without one at the end of the field.
template <std::size_t N>
constexpr std::string_view field_text(const std::array<char, N>& field) noexcept {
  const std::string_view whole(field.data(), N);
  return whole.substr(0, whole.find('\0'));
}
/// Writes `text` into a field, cut to its size, the rest filled.
template <std::size_t N>
constexpr void set_field_text(std::array<char, N>& field, std::string_view text, char fill = '\0') noexcept {
  for (std::size_t i = 0; i < N; ++i) field[i] = i < text.size() ? text[i] : fill;
}

}  // namespace spdkio::spec::fabrics
