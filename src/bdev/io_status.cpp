#include <spdkio/bdev/io_status.hpp>

namespace spdkio::bdev {

IoStatus IoStatus::from(const Error& error) noexcept {
  if (error.nvme_status()) return nvme(*error.nvme_status(), error.outcome());
  if (error.is_misuse()) return misuse(static_cast<Misuse>(error.code().value()));
  return system(error.to_errno(), error.outcome());
}

NvmeStatus IoStatus::nvme_status() const noexcept {
  return {.sct = static_cast<std::uint8_t>(value() >> 8),
          .sc = static_cast<std::uint8_t>(value()),
          .dnr = (nvme_flags() & 1) != 0,
          .more = (nvme_flags() & 2) != 0,
          .crd = static_cast<std::uint8_t>(nvme_flags() >> 2 & 3)};
}

Error IoStatus::to_error() const {
  switch (kind()) {
    case Kind::nvme: return Error(nvme_status()).with_outcome(outcome());
    case Kind::misuse: return Error(static_cast<Misuse>(value())).with_outcome(Outcome::never_submitted);
    default: return Error::from_errno(value()).with_outcome(outcome());
  }
}

}  // namespace spdkio::bdev
