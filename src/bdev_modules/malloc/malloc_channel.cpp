#include "bdev_modules/malloc/malloc_channel.hpp"

#include "bdev_modules/malloc/malloc_device.hpp"

namespace spdkio::bdev {
namespace {
/// Longer requests find their own way: the hardware's prefetcher follows them.
constexpr std::uint64_t prefetch_up_to = 16 * 1024;
/// A completion may submit the next request at once; what it submits must not keep the Thread from its other work.
constexpr std::size_t requests_per_round = 256;
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

const std::byte* MallocChannel::prefetch_target(const Io* io) const noexcept {
  if (io == nullptr || (io->type != IoType::read && io->type != IoType::write)) return nullptr;
  return device_.block(io->lba);
}

std::size_t MallocChannel::run_queue(detail::Deferred& deferred) noexcept {
  auto& self = static_cast<MallocChannel&>(deferred);
  std::size_t count = 0;
  // Taken one by one: a completion may abort one that still waits here.
  while (self.head_ != nullptr && count < requests_per_round) {
    Io* io = self.head_;
    self.head_ = io->next;
    if (self.head_ == nullptr) self.tail_ = &self.head_;
    const Io* following = self.head_;
    const bool ahead = following != nullptr && io->blocks == following->blocks &&
                       io->blocks * self.device_.geometry().block_size <= prefetch_up_to;
    io->complete(self.device_.execute(*io, ahead ? self.prefetch_target(following) : nullptr));
    ++count;
  }
  if (self.head_ != nullptr) self.core_.defer(self);
  return count;
}

}  // namespace spdkio::bdev
