// The submission queue entry and the ways to point at data. NVMe Base Specification 2.x, "Submission Queue Entry" and
// "Data Layout".
#pragma once

#include <spdkio/spec/endian.hpp>

#include <array>
#include <bit>
#include <cstdint>
#include <type_traits>

namespace spdkio::spec {

/// SGL Descriptor Type, upper four bits of the identifier byte.
enum class SglType : std::uint8_t {
  data_block = 0x0,
  bit_bucket = 0x1,
  segment = 0x2,
  last_segment = 0x3,
  keyed_data_block = 0x4,
  transport_data_block = 0x5,
  vendor = 0xF,
};

/// SGL Descriptor Sub Type, lower four bits.
enum class SglSubType : std::uint8_t {
  address = 0x0,  ///< memory of the host, or for segments where the rest of the list lies
  offset = 0x1,   ///< an offset into the capsule or the controller memory buffer
  transport = 0xA,
};

/// A scatter gather list descriptor, 16 bytes.
struct SglDescriptor {
  Le64 address;  ///< memory address, or offset for SglSubType::offset
  Le32 length;   ///< bytes
  Reserved<3> reserved{};
  std::uint8_t identifier = 0;

  constexpr SglType type() const noexcept { return static_cast<SglType>(identifier >> 4); }
  constexpr SglSubType sub_type() const noexcept { return static_cast<SglSubType>(identifier & 0xF); }
  static constexpr SglDescriptor make(SglType type, SglSubType sub_type, std::uint64_t address,
                                      std::uint32_t length) noexcept {
    SglDescriptor sgl;
    sgl.address = address;
    sgl.length = length;
    sgl.identifier = static_cast<std::uint8_t>(static_cast<unsigned>(type) << 4 | static_cast<unsigned>(sub_type));
    return sgl;
  }
  /// Data inside the capsule, `offset` bytes behind the command.
  static constexpr SglDescriptor in_capsule(std::uint32_t offset, std::uint32_t length) noexcept {
    return make(SglType::data_block, SglSubType::offset, offset, length);
  }
  /// Data that the transport moves with messages of its own (R2T and data PDUs of TCP).
  static constexpr SglDescriptor transport_data(std::uint32_t length) noexcept {
    return make(SglType::transport_data_block, SglSubType::transport, 0, length);
  }
  constexpr bool operator==(const SglDescriptor&) const noexcept = default;
};
static_assert(sizeof(SglDescriptor) == 16);

/// PRP or SGL for Data Transfer: bits 7:6 of the flags.
enum class Psdt : std::uint8_t {
  prp = 0,
  sgl_contiguous_metadata = 1,
  sgl_metadata_segment = 2,
};

/// Fused Operation: bits 1:0 of the flags.
enum class Fuse : std::uint8_t { none = 0, first = 1, second = 2 };

/// A submission queue entry, 64 bytes. `cdw2`, `cdw3` and `cdw10` to `cdw15` mean what the opcode says.
struct Command {
  std::uint8_t opcode = 0;
  std::uint8_t flags = 0;
  Le16 cid;
  Le32 nsid;
  Le32 cdw2;
  Le32 cdw3;
  Le64 mptr;
  std::array<Le64, 2> dptr{};  ///< PRP entries 1 and 2, or the bytes of one SglDescriptor
  Le32 cdw10;
  Le32 cdw11;
  Le32 cdw12;
  Le32 cdw13;
  Le32 cdw14;
  Le32 cdw15;

  constexpr Fuse fuse() const noexcept { return static_cast<Fuse>(flags & 3); }
  constexpr Psdt psdt() const noexcept { return static_cast<Psdt>(flags >> 6); }
  constexpr void set_fuse(Fuse fuse) noexcept {
    flags = static_cast<std::uint8_t>((flags & ~3u) | static_cast<unsigned>(fuse));
  }
  constexpr void set_psdt(Psdt psdt) noexcept {
    flags = static_cast<std::uint8_t>((flags & 0x3Fu) | static_cast<unsigned>(psdt) << 6);
  }
  constexpr SglDescriptor sgl() const noexcept { return std::bit_cast<SglDescriptor>(dptr); }
  constexpr void set_sgl(const SglDescriptor& sgl) noexcept { dptr = std::bit_cast<std::array<Le64, 2>>(sgl); }
  /// The 64 bits of CDW10 and CDW11, where most commands of the NVM command set have the first block.
  constexpr std::uint64_t cdw10_11() const noexcept {
    return static_cast<std::uint64_t>(cdw11.value()) << 32 | cdw10.value();
  }
  constexpr void set_cdw10_11(std::uint64_t value) noexcept {
    cdw10 = static_cast<std::uint32_t>(value);
    cdw11 = static_cast<std::uint32_t>(value >> 32);
  }
  constexpr bool operator==(const Command&) const noexcept = default;
};
static_assert(sizeof(Command) == 64 && alignof(Command) == 1);
static_assert(std::is_trivially_copyable_v<Command>);

/// The namespace identifier that stands for all namespaces.
constexpr std::uint32_t nsid_all = 0xFFFF'FFFF;

/// The way data goes, as bits 1:0 of every opcode say it.
enum class DataTransfer : std::uint8_t { none = 0, host_to_controller = 1, controller_to_host = 2, both = 3 };
constexpr DataTransfer data_transfer_of(std::uint8_t opcode) noexcept { return static_cast<DataTransfer>(opcode & 3); }

}  // namespace spdkio::spec
