
#include "spdkio/copy/copy_lane.hpp"

#include <spdkio/base/crc32c.hpp>
#include <spdkio/runtime/scope.hpp>

#include <algorithm>

namespace spdkio::tool {
namespace {

// Shorter runs of zeroes are written: more, smaller operations would cost more than they save.
constexpr std::size_t least_hole_bytes = 64 << 10;

// Stops everybody when the task that holds it ends with an exception.
class StopOnFailure {
 public:
  explicit StopOnFailure(CopyShared& shared) : shared_(shared) {}
  StopOnFailure(const StopOnFailure&) = delete;
  StopOnFailure& operator=(const StopOnFailure&) = delete;
  ~StopOnFailure() {
    if (!succeeded_) shared_.stop = true;
  }
  void success() { succeeded_ = true; }

 private:
  CopyShared& shared_;
  bool succeeded_ = false;
};

class Lane {
 public:
  explicit Lane(CopyShared& shared)
      : shared_(shared),
        from_(shared.source->io_channel()),
        to_(shared.destination->io_channel()),
        alignment_(
            std::max({std::size_t{4096}, shared.source->buffer_alignment(), shared.destination->buffer_alignment()})),
        can_seek_(shared.plan->keep_holes && shared.source->supports(bdev::IoType::seek_data) &&
                  shared.source->supports(bdev::IoType::seek_hole)),
        can_zero_(shared.destination->supports(bdev::IoType::write_zeroes)) {}

  Task<> copy_pieces() {
    StopOnFailure guard{shared_};
    const DmaBuf buffer{shared_.plan->io_bytes, {.alignment = alignment_}};
    std::vector<ByteRun> runs;
    while (!shared_.stop) {
      const std::uint64_t piece = shared_.next_piece.fetch_add(1, std::memory_order_relaxed);
      if (piece >= shared_.num_pieces) break;
      co_await copy_piece(piece, buffer, runs);
    }
    guard.success();
  }

  Task<> verify_pieces() {
    StopOnFailure guard{shared_};
    const DmaBuf buffer{shared_.plan->io_bytes, {.alignment = alignment_}};
    while (!shared_.stop) {
      const std::uint64_t piece = shared_.next_piece.fetch_add(1, std::memory_order_relaxed);
      if (piece >= shared_.num_pieces) break;
      const std::uint64_t offset = piece * shared_.plan->io_bytes;
      const std::uint64_t length = shared_.piece_bytes(piece);
      const DmaSpan span = buffer.span().first(length);
      co_await shared_.destination->read(to_, span, ByteOffset{offset});
      const std::uint32_t crc = crc32c(span.bytes());
      if (crc != shared_.piece_crc[piece]) note_difference(offset);
      shared_.piece_crc[piece] = crc;
      shared_.bytes_done.fetch_add(length, std::memory_order_relaxed);
    }
    guard.success();
  }

 private:
  Task<> copy_piece(std::uint64_t piece, const DmaBuf& buffer, std::vector<ByteRun>& runs) {
    const std::uint64_t offset = piece * shared_.plan->io_bytes;
    const std::uint64_t length = shared_.piece_bytes(piece);
    const DmaSpan span = buffer.span().first(length);
    if (can_seek_ && co_await is_hole(offset, length)) {
      const DmaSpan zeroes = zero_buffer().first(length);
      shared_.piece_crc[piece] = length == zero_.size() ? zero_crc_ : crc32c(zeroes.bytes());
      co_await put_zeroes(offset, zeroes);
    } else {
      co_await shared_.source->read(from_, span, ByteOffset{offset});
      shared_.piece_crc[piece] = crc32c(span.bytes());
      runs.clear();
      if (shared_.plan->keep_holes) {
        find_runs(span.bytes(), shared_.grain, least_hole_bytes, runs);
      } else {
        runs.push_back({0, length, false});
      }
      for (const ByteRun& run : runs) {
        const DmaSpan part = span.subspan(run.offset, run.length);
        if (run.zero) {
          co_await put_zeroes(offset + run.offset, part);
        } else {
          co_await shared_.destination->write(to_, part, ByteOffset{offset + run.offset});
          shared_.data_bytes.fetch_add(run.length, std::memory_order_relaxed);
        }
      }
    }
    shared_.bytes_done.fetch_add(length, std::memory_order_relaxed);
  }

  // `zeroes` holds zeroes, for devices that can do nothing but write them.
  Task<> put_zeroes(std::uint64_t offset, DmaSpan zeroes) {
    if (shared_.plan->destination_is_zero) {
      shared_.hole_bytes.fetch_add(zeroes.size(), std::memory_order_relaxed);
    } else if (can_zero_) {
      co_await shared_.destination->write_zeroes(to_, ByteRange{ByteOffset{offset}, ByteCount{zeroes.size()}});
      shared_.hole_bytes.fetch_add(zeroes.size(), std::memory_order_relaxed);
    } else {
      co_await shared_.destination->write(to_, zeroes, ByteOffset{offset});
      shared_.data_bytes.fetch_add(zeroes.size(), std::memory_order_relaxed);
    }
  }

  // Whether the source says that it holds nothing there. One answer serves all pieces of the same extent.
  Task<bool> is_hole(std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t end = offset + length;
    if (offset >= hole_from_ && end <= hole_to_) co_return true;
    if (offset >= data_from_ && offset < data_to_) co_return false;
    const std::uint32_t block_size = shared_.source->block_size();
    const Lba at{offset / block_size};
    const std::optional<Lba> data = co_await shared_.source->seek_data(from_, at);
    const std::uint64_t data_at = data ? data->value * block_size : shared_.total_bytes;
    if (data_at > offset) {
      hole_from_ = offset;
      hole_to_ = data_at;
      co_return end <= hole_to_;
    }
    const std::optional<Lba> hole = co_await shared_.source->seek_hole(from_, at);
    data_from_ = offset;
    data_to_ = hole ? hole->value * block_size : shared_.total_bytes;
    co_return false;
  }

  DmaSpan zero_buffer() {
    if (zero_.empty()) {
      zero_ = DmaBuf{shared_.plan->io_bytes, {.alignment = alignment_, .zeroed = true}};
      zero_crc_ = crc32c(zero_.bytes());
    }
    return zero_;
  }

  void note_difference(std::uint64_t offset) {
    std::uint64_t first = shared_.first_difference.load();
    while (offset < first && !shared_.first_difference.compare_exchange_weak(first, offset)) {
    }
  }

  CopyShared& shared_;
  IoChannel from_;
  IoChannel to_;
  std::size_t alignment_;
  bool can_seek_;
  bool can_zero_;
  DmaBuf zero_;
  std::uint32_t zero_crc_ = 0;
  std::uint64_t hole_from_ = 0;
  std::uint64_t hole_to_ = 0;
  std::uint64_t data_from_ = 0;
  std::uint64_t data_to_ = 0;
};

Task<> run_lane(CopyShared& shared, Task<> (Lane::*work)()) {
  StopOnFailure guard{shared};
  Lane lane{shared};
  Scope scope{"copy"};
  for (std::uint32_t i = 0; i < shared.plan->queue_depth; ++i) scope.spawn((lane.*work)());
  co_await scope.join();
  guard.success();
}

}  // namespace

std::uint64_t CopyShared::piece_bytes(std::uint64_t piece) const {
  return std::min(plan->io_bytes, total_bytes - piece * plan->io_bytes);
}

Task<> copy_lane(CopyShared& shared) { return run_lane(shared, &Lane::copy_pieces); }

Task<> verify_lane(CopyShared& shared) { return run_lane(shared, &Lane::verify_pieces); }

}  // namespace spdkio::tool
