#include "blob/metadata_disk.hpp"

#include <spdkio/base/error_context.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/bdev/bdev.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace spdkio::blob {

using format::MetadataPage;
using format::page_bytes;
using format::SuperBlock;

namespace {

/// The longest single transfer of metadata, bytes.
constexpr std::size_t transfer_bytes = 256 * 1024;
/// The high-water mark moves in steps, so that it rarely has to be written.
constexpr std::uint32_t high_water_step = 256;

DmaBuf uninitialized(std::size_t bytes) { return DmaBuf{bytes, {.zeroed = false}}; }

std::span<const std::byte, page_bytes> bytes_of(const SuperBlock& super) {
  return std::span<const std::byte, page_bytes>(reinterpret_cast<const std::byte*>(&super), page_bytes);
}

Error not_a_store(const std::string& device, const format::Damage& reason) {
  return Error(std::errc::illegal_byte_sequence, reason).with_operation("load a Blobstore").with_device(device);
}

}  // namespace

MetadataDisk::MetadataDisk(BdevDesc device) : device_(std::move(device)), channel_(device_.io_channel()) {
  const bdev::Geometry& geometry = device_.bdev().geometry();
  can_flush_ = device_.supports(bdev::IoType::flush);
  redo_needed_ = std::max(geometry.block_size, geometry.physical_block_size) < page_bytes;
  layout_.page_size = std::max<std::uint32_t>(page_bytes, geometry.block_size);
}

Task<> MetadataDisk::read(std::uint64_t offset, DmaSpan into) {
  for (std::size_t done = 0; done < into.size();) {
    const std::size_t count = std::min(transfer_bytes, into.size() - done);
    co_await device_.read(channel_, into.subspan(done, count), ByteOffset{offset + done});
    done += count;
  }
}

Task<> MetadataDisk::write(std::uint64_t offset, DmaSpan data) {
  for (std::size_t done = 0; done < data.size();) {
    const std::size_t count = std::min(transfer_bytes, data.size() - done);
    co_await device_.write(channel_, data.subspan(done, count), ByteOffset{offset + done});
    done += count;
  }
}

Task<> MetadataDisk::flush() {
  if (can_flush_) co_await device_.flush(channel_);
}

Task<> MetadataDisk::write_one(std::uint64_t offset, std::span<const std::byte, page_bytes> bytes) {
  const DmaBuf buffer{layout_.page_size};
  std::memcpy(buffer.data(), bytes.data(), bytes.size());
  co_await write(offset, buffer);
}

Task<> MetadataDisk::write_super(const SuperBlock& super) { return write_one(0, bytes_of(super)); }

Task<> MetadataDisk::load_super() {
  const ErrorContext doing("reading the super block");
  const std::uint64_t device_bytes = device_.size().value;
  if (device_bytes < 2 * std::uint64_t{layout_.page_size}) {
    throw not_a_store(device_.name(), "the device is too small");
  }
  const DmaBuf buffer = uninitialized(2 * std::size_t{layout_.page_size});
  co_await read(0, buffer);
  SuperBlock super;
  std::memcpy(static_cast<void*>(&super), buffer.data(), sizeof(super));
  if (super.signature != format::super_signature) {
    throw not_a_store(device_.name(), "there is no Blobstore: the signature is missing");
  }
  if (!format::crc_holds(super)) {
    format::RedoHeader header;
    std::memcpy(static_cast<void*>(&header), buffer.data() + layout_.page_size, sizeof(header));
    if (!format::mend_torn_clean_flag(super)) {
      if (!format::is_valid(header)) {
        throw not_a_store(device_.name(), "the checksum of the super block does not match");
      }
      super = format::super_of(header);
    }
    super_was_mended_ = true;
    log::warn("blobstore on {}: the super block was being written when the power went; it is mended", device_.name());
  }
  if (const auto checked = format::check_and_complete(super, device_bytes); !checked) {
    throw not_a_store(device_.name(), checked.error());
  }
  if (super.md_page_size % device_.block_size() != 0) {
    throw not_a_store(device_.name(), "its metadata pages are smaller than the blocks of the device");
  }
  super_ = super;
  layout_ = format::Layout(super);
}

Task<> MetadataDisk::format(const SuperBlock& super) {
  const ErrorContext doing("writing an empty store");
  super_ = super;
  layout_ = format::Layout(super);
  // No super block before everything else is in place; and no root page of an earlier store.
  const std::uint64_t metadata_bytes = (std::uint64_t{layout_.md_start} + layout_.md_len) * layout_.page_size;
  if (device_.supports(bdev::IoType::write_zeroes)) {
    co_await device_.write_zeroes(channel_, ByteRange{ByteOffset{0}, ByteCount{metadata_bytes}});
  } else {
    const DmaBuf zeros{transfer_bytes};
    for (std::uint64_t done = 0; done < metadata_bytes;) {
      const std::size_t count = std::min<std::uint64_t>(transfer_bytes, metadata_bytes - done);
      co_await device_.write(channel_, zeros.subspan(0, count), ByteOffset{done});
      done += count;
    }
  }
  co_await flush();
  high_water_ = 0;
  co_await write_header(0, super_);
  co_await write_super(super_);
  co_await flush();
  dirty_ = true;
}

Task<std::uint32_t> MetadataDisk::replay() {
  const ErrorContext doing("replaying the redo page");
  const DmaBuf buffer = uninitialized(layout_.page_size);
  co_await read(mask_offset(super_.used_cluster_mask_start), buffer);
  MetadataPage redo;
  std::memcpy(static_cast<void*>(&redo), buffer.data(), sizeof(redo));
  if (format::is_redo_page(redo, layout_.md_len)) {
    const std::uint32_t number = redo.reserved - 1;
    const MetadataPage now = co_await read_page(number);
    if (const auto whole = format::redone(redo, now)) {
      log::info("blobstore on {}: finished the write of metadata page {} that was cut off", device_.name(), number);
      replayed_ = std::pair{number, *whole};
    }
  }
  co_await read(mask_offset(super_.used_page_mask_start), buffer);
  format::RedoHeader header;
  std::memcpy(static_cast<void*>(&header), buffer.data(), sizeof(header));
  if (!format::is_valid(header)) co_return layout_.md_len;
  co_return std::min(header.high_water.value(), layout_.md_len);
}

Task<Bitmap> MetadataDisk::read_mask(format::MaskType type) {
  std::uint32_t start = super_.used_page_mask_start;
  std::uint32_t bits = layout_.md_len;
  if (type == format::MaskType::used_clusters) {
    start = super_.used_cluster_mask_start;
    bits = layout_.total_clusters;
  } else if (type == format::MaskType::used_blobids) {
    start = super_.used_blobid_mask_start;
  }
  const DmaBuf buffer = uninitialized(format::mask_pages(bits, layout_.page_size) * layout_.page_size);
  co_await read(mask_offset(start), buffer);
  format::MaskHeader header;
  std::memcpy(static_cast<void*>(&header), buffer.data(), sizeof(header));
  if (header.type != static_cast<std::uint8_t>(type) || header.length < bits) {
    throw Error(std::errc::illegal_byte_sequence, "a mask is not where it should be").with_device(device_.name());
  }
  Bitmap mask(bits);
  const auto bytes = buffer.bytes().subspan(sizeof(header));
  for (std::uint32_t bit = 0; bit < bits; ++bit) {
    if ((std::to_integer<unsigned>(bytes[bit / 8]) >> bit % 8 & 1) != 0) mask.take(bit);
  }
  co_return mask;
}

Task<MetadataPage> MetadataDisk::read_page(std::uint32_t number) {
  if (replayed_ && replayed_->first == number) co_return replayed_->second;
  const DmaBuf buffer = uninitialized(layout_.page_size);
  co_await read(layout_.page_offset(number), buffer);
  MetadataPage page;
  std::memcpy(static_cast<void*>(&page), buffer.data(), sizeof(page));
  co_return page;
}

Task<> MetadataDisk::read_pages(std::uint32_t first, DmaSpan into) {
  co_await read(layout_.page_offset(first), into);
  const std::uint32_t count = static_cast<std::uint32_t>(into.size() / layout_.page_size);
  if (replayed_ && replayed_->first >= first && replayed_->first - first < count) {
    std::memcpy(into.data() + std::size_t{replayed_->first - first} * layout_.page_size, &replayed_->second,
                page_bytes);
  }
}

Task<> MetadataDisk::write_pages(std::span<const std::uint32_t> numbers, std::span<const MetadataPage> pages) {
  const std::size_t most = transfer_bytes / layout_.page_size;
  while (!numbers.empty()) {
    std::size_t count = 1;
    while (count < numbers.size() && count < most && numbers[count] == numbers[count - 1] + 1) ++count;
    const DmaBuf buffer{count * layout_.page_size};
    for (std::size_t i = 0; i < count; ++i) {
      std::memcpy(buffer.data() + i * layout_.page_size, &pages[i], sizeof(MetadataPage));
    }
    co_await write(layout_.page_offset(numbers[0]), buffer);
    numbers = numbers.subspan(count);
    pages = pages.subspan(count);
  }
}

Task<> MetadataDisk::zero_pages(std::span<const std::uint32_t> numbers) {
  const DmaBuf zeros{numbers.empty() ? 1 : layout_.page_size};
  for (const std::uint32_t number : numbers) co_await write(layout_.page_offset(number), zeros);
}

Task<> MetadataDisk::write_redo(std::uint32_t number, const MetadataPage& page, bool erased) {
  const MetadataPage redo = format::make_redo_page(number, page, erased);
  co_await write_one(mask_offset(super_.used_cluster_mask_start), redo.bytes());
  co_await flush();
}

Task<> MetadataDisk::overwrite(std::uint32_t number, const MetadataPage& page) {
  if (redo_needed_) co_await write_redo(number, page, false);
  co_await write_one(layout_.page_offset(number), page.bytes());
}

Task<> MetadataDisk::erase(std::uint32_t number) {
  MetadataPage nothing;
  if (redo_needed_) {
    nothing.id = format::root_id(number);
    co_await write_redo(number, nothing, true);
    nothing = {};
  }
  co_await write_one(layout_.page_offset(number), nothing.bytes());
}

Task<> MetadataDisk::write_header(std::uint32_t high_water, const SuperBlock& super) {
  const format::RedoHeader header = format::make_redo_header(high_water, super);
  co_await write_one(mask_offset(super_.used_page_mask_start), header.bytes());
  co_await flush();
}

Task<> MetadataDisk::cover(std::uint32_t number) {
  if (number < high_water_) co_return;
  const std::uint64_t wanted = (std::uint64_t{number} / high_water_step + 1) * high_water_step;
  const auto next = static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, layout_.md_len));
  co_await write_header(next, super_);
  high_water_ = next;
}

Task<> MetadataDisk::begin_changes() {
  if (dirty_) co_return;
  if (super_.clean == 1 || super_was_mended_) {
    SuperBlock next = super_;
    next.clean = 0;
    format::seal(next);
    co_await write_super(next);
    co_await flush();
    super_ = next;
    super_was_mended_ = false;
  }
  if (replayed_) {
    // The redo page holds it still: a cut here is the same as the one before.
    co_await write_one(layout_.page_offset(replayed_->first), replayed_->second.bytes());
    co_await flush();
    replayed_.reset();
  }
  // From here on nothing of an earlier session, or of the masks, may be taken for a redo page.
  const MetadataPage nothing;
  co_await write_one(mask_offset(super_.used_cluster_mask_start), nothing.bytes());
  co_await write_header(high_water_, super_);
  dirty_ = true;
}

Task<> MetadataDisk::update_super(SuperBlock next) {
  next.clean = 0;
  format::seal(next);
  co_await write_header(high_water_, next);
  co_await write_super(next);
  co_await flush();
  super_ = next;
  // A longer cluster mask does not move, so the redo page stays where it is.
  layout_ = format::Layout(next);
}

Task<> MetadataDisk::write_mask(format::MaskType type, const Bitmap& bits) {
  std::uint32_t start = super_.used_page_mask_start;
  std::uint32_t pages = super_.used_page_mask_len;
  if (type == format::MaskType::used_clusters) {
    start = super_.used_cluster_mask_start;
    pages = super_.used_cluster_mask_len;
  } else if (type == format::MaskType::used_blobids) {
    start = super_.used_blobid_mask_start;
    pages = super_.used_blobid_mask_len;
  }
  const DmaBuf buffer{std::size_t{pages} * layout_.page_size};
  format::MaskHeader header;
  header.type = static_cast<std::uint8_t>(type);
  header.length = bits.size();
  std::memcpy(buffer.data(), &header, sizeof(header));
  const auto bytes = buffer.bytes().subspan(sizeof(header));
  for (auto bit = bits.next_used(0); bit; bit = bits.next_used(*bit + 1)) {
    bytes[*bit / 8] |= std::byte{1} << static_cast<int>(*bit % 8);
  }
  co_await write(mask_offset(start), buffer);
}

Task<> MetadataDisk::finish_changes(const Bitmap& pages, const Bitmap& clusters, const Bitmap& blobs) {
  if (!dirty_) co_return;
  // The redo page goes: what it covers must be in place.
  co_await flush();
  co_await write_mask(format::MaskType::used_pages, pages);
  co_await write_mask(format::MaskType::used_clusters, clusters);
  if (super_.used_blobid_mask_len != 0) co_await write_mask(format::MaskType::used_blobids, blobs);
  co_await flush();
  SuperBlock next = super_;
  next.clean = 1;
  format::seal(next);
  co_await write_super(next);
  co_await flush();
  super_ = next;
  dirty_ = false;
}

Task<> MetadataDisk::wipe_super() {
  // The second copy first, so that it is not taken for the truth.
  const MetadataPage nothing;
  co_await write_one(mask_offset(super_.used_page_mask_start), nothing.bytes());
  co_await flush();
  co_await write_one(0, nothing.bytes());
  co_await flush();
}

}  // namespace spdkio::blob
