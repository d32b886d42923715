#include "bdev_modules/malloc/malloc_channel.hpp"

#include <array>
#include <utility>

#include "bdev_modules/malloc/copy.hpp"
#include "bdev_modules/malloc/malloc_device.hpp"

namespace spdkio::bdev {
namespace {
/// Longer requests find their own way: the hardware's prefetcher follows them.
constexpr std::uint64_t short_bytes = 16 * 1024;
/// A completion may submit the next request at once; what it submits must not keep the Thread from its other work.
constexpr std::size_t requests_per_round = 256;
/// What is executed before the first of it completes.
constexpr std::size_t requests_per_batch = 16;
constexpr std::uint64_t bytes_per_batch = 128 * 1024;
}  // namespace

MallocChannel::MallocChannel(MallocDevice& device)
    : device_(device), core_(detail::ThreadCore::require_current("io_channel")) {
  run = run_queue;
}

void MallocChannel::submit(Io& io) noexcept {
  io.next = nullptr;
  *tail_ = &io;
  tail_ = &io.next;
  core_.defer(*this);
}

void MallocChannel::abort(Io& io) noexcept {
  for (Io** link = &head_; *link != nullptr; link = &(*link)->next) {
    if (*link != &io) continue;
    *link = io.next;
    if (*link == nullptr) tail_ = link;
    io.complete(IoStatus::cancelled(Outcome::aborted));
    return;
  }
}

/// Where a request starts that waits behind one of `blocks` blocks, if its memory is worth asking for.
const std::byte* MallocChannel::prefetch_target(const Io* waiting, std::uint64_t blocks) const noexcept {
  const std::uint64_t bytes = blocks * device_.geometry().block_size;
  if (waiting == nullptr || waiting->blocks != blocks || bytes > short_bytes) return nullptr;
  const bool touches = waiting->type == IoType::read ||
                       (waiting->type == IoType::write && bytes < TouchedPages::page_size);  // others go around it
  return touches ? device_.block(waiting->lba) : nullptr;
}

bool MallocChannel::writes_around_cache(const Io& io) noexcept {
  if (io.type != IoType::read && io.type != IoType::write) return false;
  const std::uint64_t block_size = device_.geometry().block_size;
  const bool known = touched_.touch(io.lba * block_size);
  return !known && io.type == IoType::write && io.blocks * block_size >= TouchedPages::page_size;
}

Io* MallocChannel::take() noexcept {
  Io* const io = head_;
  head_ = io->next;
  if (head_ == nullptr) tail_ = &head_;
  return io;
}

/// Takes the first four if they are short, of one kind and length, and nothing but a copy each.
bool MallocChannel::take_four(Four& requests) noexcept {
  const Io& first = *head_;
  const std::uint64_t bytes = first.blocks * device_.geometry().block_size;
  if (bytes > short_bytes || (first.type == IoType::write && bytes >= TouchedPages::page_size)) return false;
  Io* io = head_;
  for (Io*& request : requests) {
    if (io == nullptr || io->type != first.type || io->blocks != first.blocks || !device_.is_one_copy(*io))
      return false;
    request = std::exchange(io, io->next);
  }
  head_ = io;
  if (head_ == nullptr) tail_ = &head_;
  return true;
}

/// Executes some of what waits, then completes it: whoever hears of a write may hand the block to another OS thread.
std::size_t MallocChannel::run_batch() noexcept {
  std::array<Io*, requests_per_batch> done;
  std::array<IoStatus, requests_per_batch> statuses;
  std::size_t count = 0;
  std::uint64_t blocks = 0;
  const std::uint64_t most_blocks = bytes_per_batch / device_.geometry().block_size;
  bool around_cache = false;
  while (head_ != nullptr && (count == 0 || (count < requests_per_batch && blocks < most_blocks))) {
    Four four;
    if (count + four.size() <= requests_per_batch && take_four(four)) {
      CopyJobs jobs;
      for (std::size_t i = 0; i < four.size(); ++i) {
        touched_.touch(four[i]->lba * device_.geometry().block_size);
        jobs[i] = device_.copy_job(*four[i]);
        statuses[count] = IoStatus::success();
        done[count++] = four[i];
        blocks += four[i]->blocks;
      }
      copy_side_by_side(jobs, four[0]->blocks * device_.geometry().block_size);
      continue;
    }
    Io& io = *take();
    const MallocDevice::Hints hints{.next = prefetch_target(head_, io.blocks), .around_cache = writes_around_cache(io)};
    if (hints.next != nullptr) {
      if (const std::byte* const second = prefetch_target(head_->next, io.blocks)) prefetch_start(second);
    }
    around_cache |= hints.around_cache;
    statuses[count] = device_.execute(io, hints);
    done[count++] = &io;
    blocks += io.blocks;
  }
  if (around_cache) finish_copies_around_cache();
  for (std::size_t i = 0; i < count; ++i) done[i]->complete(statuses[i]);
  return count;
}

std::size_t MallocChannel::run_queue(detail::Deferred& deferred) noexcept {
  auto& self = static_cast<MallocChannel&>(deferred);
  std::size_t count = 0;
  while (self.head_ != nullptr && count < requests_per_round) count += self.run_batch();
  if (self.head_ != nullptr) self.core_.defer(self);
  return count;
}

}  // namespace spdkio::bdev
