#include "nvmf/status.hpp"

#include <cerrno>

namespace spdkio::nvmf {
namespace {

NvmeStatus of_errno(int error, bdev::IoType type) noexcept {
  switch (error) {
    case ENOSPC: return sc::capacity_exceeded;
    case ENODEV:
    case ENXIO: return sc::invalid_namespace;
    case ECANCELED: return sc::abort_requested;
    case EROFS:
    case EPERM: return sc::write_to_read_only_range;
    case EOPNOTSUPP: return sc::invalid_opcode;
    case EIO:
      if (type == bdev::IoType::read || type == bdev::IoType::compare) return nvme_sc::unrecovered_read_error;
      if (type == bdev::IoType::write) return nvme_sc::write_fault;
      return sc::internal_error;
    default: return sc::internal_error;
  }
}

NvmeStatus of_misuse(Misuse misuse) noexcept {
  switch (misuse) {
    case Misuse::out_of_range: return sc::lba_out_of_range;
    case Misuse::buffer_size: return sc::sgl_length_invalid;
    case Misuse::read_only: return sc::write_to_read_only_range;
    case Misuse::not_supported: return sc::invalid_opcode;
    case Misuse::already_closed: return sc::invalid_namespace;
    default: return sc::internal_error;
  }
}

}  // namespace

NvmeStatus status_of(const bdev::IoStatus& status, bdev::IoType type) noexcept {
  switch (status.kind()) {
    case bdev::IoStatus::Kind::success: return sc::success;
    case bdev::IoStatus::Kind::nvme: return status.nvme_status();
    case bdev::IoStatus::Kind::misuse: return of_misuse(static_cast<Misuse>(status.value()));
    case bdev::IoStatus::Kind::system: return of_errno(status.value(), type);
  }
  return sc::internal_error;
}

}  // namespace spdkio::nvmf
