// How an I/O ended, in eight bytes: what travels on the I/O path instead of an Error.
#pragma once

#include <spdkio/base/error.hpp>

#include <cstdint>

namespace spdkio::bdev {

class IoStatus {
 public:
  enum class Kind : std::uint8_t { success, system, nvme, misuse };

  constexpr IoStatus() noexcept = default;  ///< success
  static constexpr IoStatus success() noexcept { return {}; }
  /// `errno_value` is positive.
  static constexpr IoStatus system(int errno_value, Outcome outcome = Outcome::failed) noexcept {
    return {Kind::system, outcome, 0, errno_value};
  }
  static constexpr IoStatus nvme(NvmeStatus value, Outcome outcome = Outcome::failed) noexcept {
    if (value.ok()) return {};
    const auto flags = static_cast<std::uint8_t>((value.dnr ? 1 : 0) | (value.more ? 2 : 0) | (value.crd & 3) << 2);
    return {Kind::nvme, outcome, flags, value.sct << 8 | value.sc};
  }
  static constexpr IoStatus misuse(Misuse code) noexcept {
    return {Kind::misuse, Outcome::never_submitted, 0, static_cast<int>(code)};
  }
  /// No slot or memory just now: the block layer parks the I/O and submits it again; the submitter never sees it.
  static constexpr IoStatus no_memory() noexcept { return system(12, Outcome::never_submitted); }
  /// Ended because a stop was requested.
  static constexpr IoStatus cancelled(Outcome outcome) noexcept { return system(125, outcome); }
  /// Keeps what an Error of another device or call said.
  static IoStatus from(const Error& error) noexcept;

  constexpr bool ok() const noexcept { return bits_ == 0; }
  constexpr Kind kind() const noexcept { return static_cast<Kind>(bits_ & 0xFF); }
  constexpr Outcome outcome() const noexcept { return static_cast<Outcome>(bits_ >> 8 & 0xFF); }
  constexpr bool is_no_memory() const noexcept { return *this == no_memory(); }
  constexpr int value() const noexcept { return static_cast<int>(bits_ >> 32); }
  NvmeStatus nvme_status() const noexcept;
  constexpr bool operator==(const IoStatus&) const noexcept = default;
  /// Not for success.
  Error to_error() const;

 private:
  constexpr IoStatus(Kind kind, Outcome outcome, std::uint8_t nvme_flags, int value) noexcept
      : bits_(static_cast<std::uint64_t>(kind) | static_cast<std::uint64_t>(outcome) << 8 |
              static_cast<std::uint64_t>(nvme_flags) << 16 |
              static_cast<std::uint64_t>(static_cast<std::uint32_t>(value)) << 32) {}
  constexpr std::uint8_t nvme_flags() const noexcept { return static_cast<std::uint8_t>(bits_ >> 16 & 0xFF); }

  /// One word, not fields: written and read whole on every I/O. From the lowest byte: kind, outcome, NVMe flags, 0, and
  /// four of the value. All 0 for success.
  std::uint64_t bits_ = 0;
};
static_assert(sizeof(IoStatus) == 8);

}  // namespace spdkio::bdev
