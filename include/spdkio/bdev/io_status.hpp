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
    IoStatus status;
    status.kind_ = Kind::system;
    status.outcome_ = outcome;
    status.value_ = errno_value;
    return status;
  }
  static constexpr IoStatus nvme(NvmeStatus value, Outcome outcome = Outcome::failed) noexcept {
    IoStatus status;
    status.kind_ = value.ok() ? Kind::success : Kind::nvme;
    status.outcome_ = outcome;
    status.value_ = value.sct << 8 | value.sc;
    status.nvme_flags_ = static_cast<std::uint8_t>((value.dnr ? 1 : 0) | (value.more ? 2 : 0) | (value.crd & 3) << 2);
    return status;
  }
  static constexpr IoStatus misuse(Misuse code) noexcept {
    IoStatus status;
    status.kind_ = Kind::misuse;
    status.outcome_ = Outcome::never_submitted;
    status.value_ = static_cast<int>(code);
    return status;
  }
  /// No slot or memory just now: the block layer parks the I/O and submits it again; the submitter never sees it.
  static constexpr IoStatus no_memory() noexcept { return system(12, Outcome::never_submitted); }
  /// Ended because a stop was requested.
  static constexpr IoStatus cancelled(Outcome outcome) noexcept { return system(125, outcome); }
  /// Keeps what an Error of another device or call said.
  static IoStatus from(const Error& error) noexcept;

  constexpr bool ok() const noexcept { return kind_ == Kind::success; }
  constexpr Kind kind() const noexcept { return kind_; }
  constexpr Outcome outcome() const noexcept { return outcome_; }
  constexpr bool is_no_memory() const noexcept { return *this == no_memory(); }
  constexpr int value() const noexcept { return value_; }
  NvmeStatus nvme_status() const noexcept;
  constexpr bool operator==(const IoStatus&) const noexcept = default;
  /// Not for success.
  Error to_error() const;

 private:
  Kind kind_ = Kind::success;
  Outcome outcome_ = Outcome::failed;
  std::uint8_t nvme_flags_ = 0;
  std::int32_t value_ = 0;
};
static_assert(sizeof(IoStatus) == 8);

}  // namespace spdkio::bdev
