// Identify Namespace data structures of the NVM command set. NVM Command Set Specification 1.x, "Identify".
#pragma once

#include <spdkio/spec/endian.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace spdkio::spec {

/// LBA Format.
struct LbaFormat {
  Le16 metadata_bytes;
  std::uint8_t data_log2 = 0;             ///< block size as a power of two; 0: not available
  std::uint8_t relative_performance = 0;  ///< bits 1:0; 0 is best
  /// Bytes of data per block; 0 when the format is not available or absurd.
  constexpr std::uint32_t block_size() const noexcept {
    return data_log2 >= 9 && data_log2 < 32 ? std::uint32_t{1} << data_log2 : 0;
  }
};
static_assert(sizeof(LbaFormat) == 4);

/// CNS 00h, 4096 bytes. Members have the specification's names.
struct IdentifyNamespace {
  Le64 nsze;  ///< blocks
  Le64 ncap;  ///< blocks
  Le64 nuse;  ///< blocks
  std::uint8_t nsfeat = 0;
  std::uint8_t nlbaf = 0;  ///< 0's based
  std::uint8_t flbas = 0;
  std::uint8_t mc = 0;
  std::uint8_t dpc = 0;
  std::uint8_t dps = 0;
  std::uint8_t nmic = 0;
  std::uint8_t rescap = 0;
  std::uint8_t fpi = 0;
  std::uint8_t dlfeat = 0;
  Le16 nawun;   ///< blocks, 0's based
  Le16 nawupf;  ///< blocks, 0's based
  Le16 nacwu;   ///< blocks, 0's based
  Le16 nabsn;
  Le16 nabo;
  Le16 nabspf;
  Le16 noiob;  ///< optimal I/O boundary, blocks; 0: none
  Le128 nvmcap;
  Le16 npwg;  ///< preferred write granularity, blocks, 0's based
  Le16 npwa;
  Le16 npdg;
  Le16 npda;
  Le16 nows;
  Le16 mssrl;             ///< blocks in one source range of a Copy
  Le32 mcl;               ///< blocks in one Copy
  std::uint8_t msrc = 0;  ///< source ranges of a Copy, 0's based
  std::uint8_t kpios = 0;
  std::uint8_t nulbaf = 0;
  std::uint8_t reserved83 = 0;
  Le32 kpiodaag;
  Reserved<4> reserved88{};
  Le32 anagrpid;
  Reserved<3> reserved96{};
  std::uint8_t nsattr = 0;
  Le16 nvmsetid;
  Le16 endgid;
  std::array<std::uint8_t, 16> nguid{};
  std::array<std::uint8_t, 8> eui64{};
  std::array<LbaFormat, 64> lbaf{};
  Reserved<3712> vendor_specific{};

  /// Index of the format in use: FLBAS bits 3:0 and 6:5.
  constexpr std::uint32_t format_index() const noexcept { return (flbas & 0xFu) | (flbas >> 1 & 0x30u); }
  constexpr const LbaFormat& format() const noexcept { return lbaf[format_index()]; }
  /// Metadata is transferred at the end of each block's data.
  constexpr bool metadata_interleaved() const noexcept { return (flbas & 0x10) != 0; }
  /// 0: none; 1 to 3: type of protection information.
  constexpr std::uint32_t protection_type() const noexcept { return dps & 7; }
  constexpr bool protection_first() const noexcept { return (dps & 8) != 0; }
};
static_assert(sizeof(IdentifyNamespace) == 4096 && alignof(IdentifyNamespace) == 1);
static_assert(std::is_trivially_copyable_v<IdentifyNamespace>);
static_assert(offsetof(IdentifyNamespace, nawun) == 34);
static_assert(offsetof(IdentifyNamespace, nvmcap) == 48);
static_assert(offsetof(IdentifyNamespace, mssrl) == 74);
static_assert(offsetof(IdentifyNamespace, anagrpid) == 92);
static_assert(offsetof(IdentifyNamespace, nguid) == 104);
static_assert(offsetof(IdentifyNamespace, lbaf) == 128);

/// Bits of NSFEAT.
namespace nsfeat {
inline constexpr std::uint8_t thin = 1u << 0;
inline constexpr std::uint8_t ns_atomics = 1u << 1;
inline constexpr std::uint8_t deallocated_error = 1u << 2;
inline constexpr std::uint8_t uid_never_reused = 1u << 3;
inline constexpr std::uint8_t optimal_performance = 1u << 4;
}  // namespace nsfeat

/// Bits of RESCAP, and of nothing else: reservations that the namespace can hold.
namespace rescap {
inline constexpr std::uint8_t persist_through_power_loss = 1u << 0;
}

/// Bit of NSATTR: the namespace is write protected just now.
inline constexpr std::uint8_t nsattr_write_protected = 1;
/// Bit of NMIC: the namespace may be attached to several controllers.
inline constexpr std::uint8_t nmic_shared = 1;

/// CNS 05h with the NVM command set, 4096 bytes.
struct IdentifyNamespaceNvm {
  Le64 lbstm;
  std::uint8_t pic = 0;
  std::uint8_t pifa = 0;
  Reserved<2> reserved10{};
  std::array<Le32, 64> elbaf{};
  Reserved<3828> reserved268{};
};
static_assert(sizeof(IdentifyNamespaceNvm) == 4096);

/// CNS 06h with the NVM command set, 4096 bytes.
struct IdentifyControllerNvm {
  std::uint8_t vsl = 0;   ///< Verify: 2^vsl pages; 0: as MDTS or no limit
  std::uint8_t wzsl = 0;  ///< Write Zeroes: 2^wzsl pages; 0: no limit of its own
  std::uint8_t wusl = 0;
  std::uint8_t dmrl = 0;  ///< ranges of a Dataset Management; 0: no limit
  Le32 dmrsl;             ///< blocks of one range; 0: no limit
  Le64 dmsl;              ///< blocks of all ranges; 0: no limit
  Reserved<4080> reserved16{};
};
static_assert(sizeof(IdentifyControllerNvm) == 4096);

/// CNS 08h, 4096 bytes: what does not depend on the command set.
struct IdentifyNamespaceIndependent {
  std::uint8_t nsfeat = 0;
  std::uint8_t nmic = 0;
  std::uint8_t rescap = 0;
  std::uint8_t fpi = 0;
  Le32 anagrpid;
  std::uint8_t nsattr = 0;
  std::uint8_t reserved9 = 0;
  Le16 nvmsetid;
  Le16 endgid;
  std::uint8_t nstat = 0;  ///< bit 0: ready
  std::uint8_t kpios = 0;
  Reserved<4080> reserved16{};
};
static_assert(sizeof(IdentifyNamespaceIndependent) == 4096);

}  // namespace spdkio::spec
