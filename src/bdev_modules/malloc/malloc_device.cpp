#include "bdev_modules/malloc/malloc_device.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <utility>

#include "bdev/dif.hpp"
#include "bdev_modules/create_delete.hpp"
#include "bdev_modules/malloc/copy.hpp"
#include "bdev_modules/malloc/malloc_channel.hpp"

namespace spdkio::bdev {
namespace {

std::string name_of(const MallocOptions& options) {
  static std::atomic<unsigned> next{0};
  if (!options.name.empty()) return std::string{options.name};
  std::string name;
  do {
    name = "Malloc" + std::to_string(next++);
  } while (Service::current().find(name) != nullptr);
  return name;
}

Geometry geometry_of(const MallocOptions& options) {
  const std::string_view name = options.name.empty() ? "malloc" : options.name;
  if (options.num_blocks == 0) refuse_option(name, "num_blocks", "must not be 0");
  if (options.block_size == 0 || options.block_size % 512 != 0) {
    refuse_option(name, "block_size", "must be a multiple of 512");
  }
  if (options.physical_block_size % 512 != 0) refuse_option(name, "physical_block_size", "must be a multiple of 512");
  check_metadata_size(name, options.metadata_size);
  if (options.metadata_interleaved && options.metadata_size == 0) {
    refuse_option(name, "md_interleave", "needs md_size");
  }
  if (options.dif_type != DifType::none && options.metadata_size < dif_tuple_bytes) {
    refuse_option(name, "dif_type", "needs md_size of at least 8");
  }
  const std::uint32_t block_size = options.block_size + (options.metadata_interleaved ? options.metadata_size : 0);
  if (options.num_blocks > SIZE_MAX / 2 / block_size)
    refuse_option(name, "num_blocks", "is more than can be addressed");
  return {.block_size = block_size,
          .num_blocks = options.num_blocks,
          .metadata_size = options.metadata_size,
          .metadata_interleaved = options.metadata_interleaved,
          .dif_type = options.dif_type,
          .dif_at_start_of_metadata = options.dif_at_start_of_metadata,
          .physical_block_size = options.physical_block_size,
          .optimal_io_boundary = options.optimal_io_boundary};
}

std::size_t separate_metadata_bytes(const Geometry& geometry) {
  return geometry.metadata_interleaved ? 0 : geometry.num_blocks * geometry.metadata_size;
}

}  // namespace

MallocDevice::MallocDevice(const MallocOptions& options)
    : Device(name_of(options), "Malloc disk", geometry_of(options)),
      data_(geometry().num_blocks * geometry().block_size, options.numa_node),
      metadata_(separate_metadata_bytes(geometry()), options.numa_node),
      numa_node_(options.numa_node) {
  set_uuid(options.uuid);
  if (geometry().dif_type != DifType::none) escape_protection(0, geometry().num_blocks);
}

bool MallocDevice::supports(IoType type) const noexcept {
  switch (type) {
    case IoType::read:
    case IoType::write:
    case IoType::write_zeroes:
    case IoType::unmap:
    case IoType::flush:
    case IoType::reset:
    case IoType::compare:
    case IoType::compare_and_write:
    case IoType::copy:
    case IoType::abort: return true;
    default: return false;
  }
}

std::unique_ptr<Channel> MallocDevice::make_channel() { return std::make_unique<MallocChannel>(*this); }

IoStatus MallocDevice::execute(Io& io, Hints hints) noexcept {
  switch (io.type) {
    case IoType::read: return read(io, hints.next);
    case IoType::write: return write(io, io.spans(), hints);
    case IoType::compare: return compare(io);
    case IoType::compare_and_write: {
      const std::lock_guard lock(compare_mutex_);
      const IoStatus compared = compare(io);
      return compared.ok() ? write(io, {io.write_iov, io.write_iov_count}, {}) : compared;
    }
    case IoType::copy: return copy(io);
    case IoType::write_zeroes:
    case IoType::unmap: zero(io); return IoStatus::success();
    default: return IoStatus::success();  // flush, reset: nothing is held back
  }
}

IoStatus MallocDevice::read(const Io& io, const std::byte* next) noexcept {
  const std::byte* from = block(io.lba);
  for (const DmaSpan& span : io.spans()) {
    copy_and_prefetch(span.data(), from, span.size(), next);
    from += span.size();
    next = nullptr;
  }
  if (!io.metadata.empty()) {
    std::memcpy(io.metadata.data(), metadata_.data() + io.lba * geometry().metadata_size, io.metadata.size());
  }
  return geometry().dif_type == DifType::none ? IoStatus::success() : verify_stored(io.lba, io.blocks);
}

IoStatus MallocDevice::write(const Io& io, DmaSpans from, Hints hints) noexcept {
  if (geometry().dif_type != DifType::none) {
    const IoStatus verified = verify_incoming(io, from);
    if (!verified.ok()) return verified;
  }
  std::byte* to = data_.data() + io.lba * geometry().block_size;
  for (const DmaSpan& span : from) {
    if (hints.around_cache) {
      copy_around_cache(to, span.data(), span.size());
    } else {
      copy_and_prefetch(to, span.data(), span.size(), std::exchange(hints.next, nullptr));
    }
    to += span.size();
  }
  if (!io.metadata.empty()) {
    std::memcpy(metadata_.data() + io.lba * geometry().metadata_size, io.metadata.data(), io.metadata.size());
  }
  return IoStatus::success();
}

IoStatus MallocDevice::compare(const Io& io) noexcept {
  const std::byte* stored = block(io.lba);
  for (const DmaSpan& span : io.spans()) {
    if (std::memcmp(stored, span.data(), span.size()) != 0) return IoStatus::nvme(nvme_sc::compare_failure);
    stored += span.size();
  }
  if (!io.metadata.empty() &&
      std::memcmp(metadata_.data() + io.lba * geometry().metadata_size, io.metadata.data(), io.metadata.size()) != 0) {
    return IoStatus::nvme(nvme_sc::compare_failure);
  }
  return IoStatus::success();
}

IoStatus MallocDevice::copy(const Io& io) noexcept {
  const std::size_t block_size = geometry().block_size;
  std::memmove(data_.data() + io.lba * block_size, data_.data() + io.source_lba * block_size, io.blocks * block_size);
  if (metadata_.size() != 0) {
    const std::size_t size = geometry().metadata_size;
    std::memmove(metadata_.data() + io.lba * size, metadata_.data() + io.source_lba * size, io.blocks * size);
  }
  return IoStatus::success();
}

void MallocDevice::zero(const Io& io) noexcept {
  const std::size_t block_size = geometry().block_size;
  data_.release(io.lba * block_size, io.blocks * block_size);
  if (metadata_.size() != 0) {
    metadata_.release(io.lba * geometry().metadata_size, io.blocks * geometry().metadata_size);
  }
  if (geometry().dif_type != DifType::none) escape_protection(io.lba, io.blocks);
}

std::span<std::byte> MallocDevice::data_of(std::uint64_t lba) const noexcept {
  const std::size_t data_size =
      geometry().block_size - (geometry().metadata_interleaved ? geometry().metadata_size : 0);
  return {data_.data() + lba * geometry().block_size, data_size};
}

std::span<std::byte> MallocDevice::metadata_of(std::uint64_t lba) const noexcept {
  const std::size_t size = geometry().metadata_size;
  if (geometry().metadata_interleaved) return {data_.data() + (lba + 1) * geometry().block_size - size, size};
  return {metadata_.data() + lba * size, size};
}

void MallocDevice::escape_protection(std::uint64_t lba, std::uint64_t blocks) noexcept {
  for (std::uint64_t i = lba; i < lba + blocks; ++i) escape_dif(geometry().dif_at_start_of_metadata, metadata_of(i));
}

IoStatus MallocDevice::verify_stored(std::uint64_t lba, std::uint64_t blocks) const noexcept {
  for (std::uint64_t i = lba; i < lba + blocks; ++i) {
    const NvmeStatus status =
        verify_dif(geometry().dif_type, geometry().dif_at_start_of_metadata, data_of(i), metadata_of(i), i);
    if (!status.ok()) return IoStatus::nvme(status);
  }
  return IoStatus::success();
}

/// Before anything is stored. The blocks may lie in several pieces, cut anywhere.
IoStatus MallocDevice::verify_incoming(const Io& io, DmaSpans from) const noexcept {
  std::array<std::byte, 4096 + 128> gathered;
  const std::size_t block_size = geometry().block_size;
  const std::size_t metadata_size = geometry().metadata_size;
  if (!geometry().metadata_interleaved && io.metadata.empty()) return IoStatus::misuse(Misuse::buffer_size);
  std::size_t piece = 0;
  std::size_t offset = 0;
  for (std::uint64_t i = 0; i < io.blocks; ++i) {
    std::span<const std::byte> block_bytes;
    while (offset == from[piece].size()) {
      ++piece;
      offset = 0;
    }
    if (from[piece].size() - offset >= block_size) {
      block_bytes = from[piece].bytes().subspan(offset, block_size);
      offset += block_size;
    } else {
      if (block_size > gathered.size()) return IoStatus::misuse(Misuse::misaligned);
      for (std::size_t have = 0; have < block_size;) {
        while (offset == from[piece].size()) {
          ++piece;
          offset = 0;
        }
        const std::size_t take = std::min(block_size - have, from[piece].size() - offset);
        std::memcpy(gathered.data() + have, from[piece].data() + offset, take);
        have += take;
        offset += take;
      }
      block_bytes = std::span{gathered}.first(block_size);
    }
    const auto data = geometry().metadata_interleaved ? block_bytes.first(block_size - metadata_size) : block_bytes;
    const auto metadata = geometry().metadata_interleaved ? block_bytes.last(metadata_size)
                                                          : std::span<const std::byte>{io.metadata.bytes()}.subspan(
                                                                i * metadata_size, metadata_size);
    const NvmeStatus status =
        verify_dif(geometry().dif_type, geometry().dif_at_start_of_metadata, data, metadata, io.lba + i);
    if (!status.ok()) return IoStatus::nvme(status);
  }
  return IoStatus::success();
}

nlohmann::ordered_json MallocDevice::config() const {
  const Geometry& g = geometry();
  nlohmann::ordered_json params{{"name", name()},
                                {"num_blocks", g.num_blocks},
                                {"block_size", g.block_size - (g.metadata_interleaved ? g.metadata_size : 0)},
                                {"physical_block_size", g.physical_block_size},
                                {"uuid", uuid().to_string()},
                                {"optimal_io_boundary", g.optimal_io_boundary},
                                {"md_size", g.metadata_size},
                                {"md_interleave", g.metadata_interleaved},
                                {"dif_type", static_cast<int>(g.dif_type)},
                                {"dif_is_head_of_md", g.dif_at_start_of_metadata}};
  if (numa_node_ != -1) params["numa_id"] = numa_node_;
  return {{"method", "bdev_malloc_create"}, {"params", std::move(params)}};
}

}  // namespace spdkio::bdev
