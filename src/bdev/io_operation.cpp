#include <spdkio/bdev/io_operation.hpp>

#include <spdkio/base/log.hpp>

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <utility>

namespace spdkio::bdev {

IoOperationBase::IoOperationBase(const IoOperationBase& other) noexcept
    : Io(other),
      ReadyNode(),
      detail::StopNode(on_stop),
      desc_(other.desc_),
      target_(other.target_),
      single_(other.single_),
      data_bytes_(other.data_bytes_) {}

void IoOperationBase::set_write_buffers(DmaSpans data) noexcept {
  write_iov = data.data();
  write_iov_count = static_cast<std::uint32_t>(data.size());
  std::uint64_t bytes = 0;
  for (const DmaSpan& span : data) bytes += span.size();
  if (bytes != data_bytes_) set_status(IoStatus::misuse(Misuse::buffer_size));
}

void IoOperationBase::set_source(LbaRange range) noexcept {
  source_lba = range.first.value;
  if (!range.fits(desc_->device().num_blocks())) set_status(IoStatus::misuse(Misuse::out_of_range));
}

/// What the device has separately for the blocks of this request.
std::uint64_t IoOperationBase::metadata_bytes() const noexcept {
  const Geometry& geometry = desc_->device().geometry();
  return geometry.metadata_interleaved ? 0 : blocks * geometry.metadata_size;
}

void IoOperationBase::check_metadata() noexcept {
  if (metadata.size() != metadata_bytes()) set_status(IoStatus::misuse(Misuse::buffer_size));
}

Error IoOperationBase::error() const {
  const IoStatus& status = this->status();
  const DeviceState& device = desc_->device();
  Error error = status.to_error();
  if (status.kind() == IoStatus::Kind::misuse) {
    const Geometry& geometry = device.geometry();
    std::string message;
    std::string hint;
    switch (static_cast<Misuse>(status.value())) {
      case Misuse::out_of_range:
        message =
            blocks == 0 ? "the range is empty" : fmt::format("the device ends at block {}", device.num_blocks().value);
        break;
      case Misuse::buffer_size:
        if (!metadata.empty() && metadata.size() != metadata_bytes()) {
          message = fmt::format("{} bytes of separate metadata for {} block(s), where the device has {}",
                                metadata.size(), blocks, metadata_bytes());
        } else {
          message =
              fmt::format("{} bytes of buffer for {} block(s) of {} bytes", data_bytes_, blocks, geometry.block_size);
        }
        break;
      case Misuse::misaligned:
        message = fmt::format("offset and length must be multiples of {} bytes, buffers aligned to {}",
                              geometry.block_size, geometry.buffer_alignment);
        break;
      case Misuse::not_supported: message = fmt::format("{} does not support it", device.product_name()); break;
      case Misuse::read_only:
        message = "the descriptor was opened for reading";
        hint = "open it with Access::read_write";
        break;
      case Misuse::wrong_thread: {
        const auto* current = detail::ThreadCore::current();
        message = fmt::format("the channel belongs to thread '{}', used on {}", target_->core().name(),
                              current != nullptr ? "'" + current->name() + "'" : "no Thread");
        hint = "take an io_channel() on each Thread";
        break;
      }
      case Misuse::already_closed:
        message = target_ == nullptr ? "the channel was closed" : "the descriptor was closed";
        break;
      case Misuse::invalid_argument: message = "the channel belongs to another device"; break;
      default: break;
    }
    error = Error(static_cast<Misuse>(status.value()), std::move(message)).with_outcome(Outcome::never_submitted);
    if (!hint.empty()) error = error.with_hint(hint);
  } else if (status.kind() == IoStatus::Kind::system && status.value() == ENODEV && device.removed()) {
    error = Error(std::errc::no_such_device, "the device was removed").with_outcome(status.outcome());
  }
  error = error.with_operation(to_string(type)).with_device(device.name());
  return blocks != 0 ? error.with_range(range()) : error;
}

void IoOperationBase::destroyed_in_flight() const noexcept {
  // The device still has the address of this frame and of its buffers; going on would corrupt memory.
  log::critical("a {} on '{}' was destroyed while it was in flight", to_string(type), desc_->device().name());
  std::abort();
}

}  // namespace spdkio::bdev
