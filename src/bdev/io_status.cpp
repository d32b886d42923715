#include <spdkio/bdev/io_status.hpp>

namespace spdkio::bdev {

IoStatus IoStatus::from(const Error& error) noexcept {
  if (error.nvme_status()) return nvme(*error.nvme_status(), error.outcome());
  if (error.is_misuse()) return misuse(static_cast<Misuse>(error.code().value()));
  return system(error.to_errno(), error.outcome());
}

NvmeStatus IoStatus::nvme_status() const noexcept {
  return {.sct = static_cast<std::uint8_t>(value_ >> 8),
          .sc = static_cast<std::uint8_t>(value_),
          .dnr = (nvme_flags_ & 1) != 0,
          .more = (nvme_flags_ & 2) != 0,
          .crd = static_cast<std::uint8_t>(nvme_flags_ >> 2 & 3)};
}

Error IoStatus::to_error() const {
  switch (kind_) {
    case Kind::nvme: return Error(nvme_status()).with_outcome(outcome_);
    case Kind::misuse: return Error(static_cast<Misuse>(value_)).with_outcome(Outcome::never_submitted);
    default: return Error::from_errno(value_).with_outcome(outcome_);
  }
}

}  // namespace spdkio::bdev
