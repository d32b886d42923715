// Identify Controller data structure, CNS 01h. NVMe Base Specification 2.x.
#pragma once

#include <spdkio/spec/endian.hpp>
#include <spdkio/spec/text.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace spdkio::spec {

/// Power State Descriptor.
struct PowerState {
  Le16 max_power;  ///< centiwatts, or units of 0.1 mW with bit 0 of `flags`
  std::uint8_t reserved2 = 0;
  std::uint8_t flags = 0;
  Le32 entry_latency_us;
  Le32 exit_latency_us;
  std::uint8_t relative_read_throughput = 0;
  std::uint8_t relative_read_latency = 0;
  std::uint8_t relative_write_throughput = 0;
  std::uint8_t relative_write_latency = 0;
  Le16 idle_power;
  std::uint8_t idle_power_scale = 0;
  std::uint8_t reserved19 = 0;
  Le16 active_power;
  std::uint8_t active_power_scale = 0;
  Reserved<9> reserved23{};
};
static_assert(sizeof(PowerState) == 32);

/// CNTRLTYPE.
enum class ControllerType : std::uint8_t { not_reported = 0, io = 1, discovery = 2, administrative = 3 };

/// 4096 bytes. Members have the specification's names.
struct IdentifyController {
  Le16 vid;
  Le16 ssvid;
  Text<20> sn;
  Text<40> mn;
  Text<8> fr;
  std::uint8_t rab = 0;
  std::array<std::uint8_t, 3> ieee{};
  std::uint8_t cmic = 0;
  std::uint8_t mdts = 0;  ///< maximum data transfer: 2^mdts memory pages of CAP.MPSMIN; 0: no limit
  Le16 cntlid;
  Le32 ver;
  Le32 rtd3r;  ///< microseconds
  Le32 rtd3e;  ///< microseconds
  Le32 oaes;   ///< optional asynchronous events supported, bits as in AsyncEventConfig
  Le32 ctratt;
  Le16 rrls;
  std::uint8_t bpcap = 0;
  std::uint8_t reserved103 = 0;
  Le32 nssl;
  Reserved<2> reserved108{};
  std::uint8_t plsi = 0;
  ControllerType cntrltype = ControllerType::not_reported;
  std::array<std::uint8_t, 16> fguid{};
  std::array<Le16, 3> crdt{};  ///< command retry delay times, units of 100 ms
  std::uint8_t crcap = 0;
  std::uint8_t ciu = 0;
  Le64 cirn;
  Reserved<109> reserved144{};
  std::uint8_t nvmsr = 0;
  std::uint8_t vwci = 0;
  std::uint8_t mec = 0;
  Le16 oacs;
  std::uint8_t acl = 0;   ///< outstanding Abort commands, 0's based
  std::uint8_t aerl = 0;  ///< outstanding Asynchronous Event Requests, 0's based
  std::uint8_t frmw = 0;
  std::uint8_t lpa = 0;
  std::uint8_t elpe = 0;  ///< error log entries, 0's based
  std::uint8_t npss = 0;  ///< power states, 0's based
  std::uint8_t avscc = 0;
  std::uint8_t apsta = 0;
  Le16 wctemp;  ///< kelvin
  Le16 cctemp;  ///< kelvin
  Le16 mtfa;    ///< units of 100 ms
  Le32 hmpre;
  Le32 hmmin;
  Le128 tnvmcap;  ///< bytes
  Le128 unvmcap;  ///< bytes
  Le32 rpmbs;
  Le16 edstt;  ///< minutes
  std::uint8_t dsto = 0;
  std::uint8_t fwug = 0;
  Le16 kas;  ///< granularity of the keep-alive timer, units of 100 ms; 0: not supported
  Le16 hctma;
  Le16 mntmt;
  Le16 mxtmt;
  Le32 sanicap;
  Le32 hmminds;
  Le16 hmmaxd;
  Le16 nsetidmax;
  Le16 endgidmax;
  std::uint8_t anatt = 0;  ///< seconds
  std::uint8_t anacap = 0;
  Le32 anagrpmax;
  Le32 nanagrpid;
  Le32 pels;
  Le16 domainid;
  std::uint8_t kpioc = 0;
  std::uint8_t reserved359 = 0;
  Le16 mptfawr;
  Reserved<6> reserved362{};
  Le128 megcap;
  std::uint8_t tmpthha = 0;
  std::uint8_t reserved385 = 0;
  Le16 cqt;  ///< command quiesce time, milliseconds
  Reserved<124> reserved388{};
  std::uint8_t sqes = 0;  ///< 3:0 smallest, 7:4 largest queue entry, powers of two
  std::uint8_t cqes = 0;
  Le16 maxcmd;
  Le32 nn;  ///< largest valid namespace identifier
  Le16 oncs;
  Le16 fuses;
  std::uint8_t fna = 0;
  std::uint8_t vwc = 0;
  Le16 awun;   ///< blocks, 0's based
  Le16 awupf;  ///< blocks, 0's based
  std::uint8_t icsvscc = 0;
  std::uint8_t nwpc = 0;
  Le16 acwu;  ///< blocks, 0's based
  Le16 cdfs;
  Le32 sgls;
  Le32 mnan;
  Le128 maxdna;
  Le32 maxcna;
  Le32 oaqd;
  Reserved<200> reserved568{};
  Text<256> subnqn;
  Reserved<768> reserved1024{};
  Le32 ioccsz;  ///< I/O command capsule, units of 16 bytes
  Le32 iorcsz;  ///< I/O response capsule, units of 16 bytes
  Le16 icdoff;  ///< in-capsule data offset, units of 16 bytes
  std::uint8_t fcatt = 0;
  std::uint8_t msdbd = 0;  ///< most SGL data block descriptors in a capsule
  Le16 ofcs;
  std::uint8_t dctype = 0;
  Reserved<241> reserved1807{};
  std::array<PowerState, 32> psd{};
  Reserved<1024> vendor_specific{};
};
static_assert(sizeof(IdentifyController) == 4096 && alignof(IdentifyController) == 1);
static_assert(std::is_trivially_copyable_v<IdentifyController>);
static_assert(offsetof(IdentifyController, ver) == 80);
static_assert(offsetof(IdentifyController, cntrltype) == 111);
static_assert(offsetof(IdentifyController, crdt) == 128);
static_assert(offsetof(IdentifyController, oacs) == 256);
static_assert(offsetof(IdentifyController, tnvmcap) == 280);
static_assert(offsetof(IdentifyController, kas) == 320);
static_assert(offsetof(IdentifyController, anatt) == 342);
static_assert(offsetof(IdentifyController, cqt) == 386);
static_assert(offsetof(IdentifyController, sqes) == 512);
static_assert(offsetof(IdentifyController, oncs) == 520);
static_assert(offsetof(IdentifyController, sgls) == 536);
static_assert(offsetof(IdentifyController, subnqn) == 768);
static_assert(offsetof(IdentifyController, ioccsz) == 1792);
static_assert(offsetof(IdentifyController, psd) == 2048);

/// Bits of OACS: optional admin commands.
namespace oacs {
inline constexpr std::uint16_t security = 1u << 0;
inline constexpr std::uint16_t format = 1u << 1;
inline constexpr std::uint16_t firmware = 1u << 2;
inline constexpr std::uint16_t ns_management = 1u << 3;
inline constexpr std::uint16_t self_test = 1u << 4;
inline constexpr std::uint16_t directives = 1u << 5;
inline constexpr std::uint16_t doorbell_buffer_config = 1u << 8;
}  // namespace oacs

/// Bits of ONCS: optional NVM commands.
namespace oncs {
inline constexpr std::uint16_t compare = 1u << 0;
inline constexpr std::uint16_t write_uncorrectable = 1u << 1;
inline constexpr std::uint16_t dataset_management = 1u << 2;
inline constexpr std::uint16_t write_zeroes = 1u << 3;
inline constexpr std::uint16_t save_select = 1u << 4;
inline constexpr std::uint16_t reservations = 1u << 5;
inline constexpr std::uint16_t timestamp = 1u << 6;
inline constexpr std::uint16_t verify = 1u << 7;
inline constexpr std::uint16_t copy = 1u << 8;
}  // namespace oncs

/// Bits of LPA: log page attributes.
namespace lpa {
inline constexpr std::uint8_t smart_per_ns = 1u << 0;
inline constexpr std::uint8_t commands_supported = 1u << 1;
inline constexpr std::uint8_t extended_data = 1u << 2;  ///< offsets and lengths beyond 16 bits
inline constexpr std::uint8_t telemetry = 1u << 3;
}  // namespace lpa

/// Bits of CTRATT: controller attributes.
namespace ctratt {
inline constexpr std::uint32_t host_id_128 = 1u << 0;
inline constexpr std::uint32_t traffic_based_keep_alive = 1u << 6;
inline constexpr std::uint32_t fixed_capacity = 1u << 11;
inline constexpr std::uint32_t extended_lba_formats = 1u << 15;
}  // namespace ctratt

/// Bits of SGLS: SGL support.
namespace sgls {
inline constexpr std::uint32_t supported_mask = 3;  ///< 0: none, 1: no alignment, 2: dwords
inline constexpr std::uint32_t keyed = 1u << 2;     ///< keyed SGL data block
inline constexpr std::uint32_t bit_bucket = 1u << 16;
inline constexpr std::uint32_t offset_address = 1u << 20;        ///< SGL address field as an offset
inline constexpr std::uint32_t transport_data_block = 1u << 21;  ///< transport SGL data block
}  // namespace sgls

/// Bit of FUSES: Compare and Write fused.
inline constexpr std::uint16_t fuses_compare_and_write = 1;
/// Bit of VWC: a volatile write cache is present.
inline constexpr std::uint8_t vwc_present = 1;

}  // namespace spdkio::spec
