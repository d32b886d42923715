#pragma once

#include <spdkio/bdev/channel.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>

#include "bdev_modules/malloc/copy.hpp"
#include "bdev_modules/malloc/touched_pages.hpp"

namespace spdkio::bdev {

class MallocDevice;

/// Collects the requests of one poll round, so that several are copied side by side, or at least the memory of the next
/// is already on its way while one is copied, and several writes around the cache are waited for at once.
class MallocChannel final : public Channel, private detail::Deferred {
 public:
  explicit MallocChannel(MallocDevice& device);
  void submit(Io& io) noexcept override;
  void abort(Io& io) noexcept override;

 private:
  static std::size_t run_queue(detail::Deferred& self) noexcept;
  std::size_t run_batch() noexcept;
  using Four = std::array<Io*, std::tuple_size_v<CopyJobs>>;
  bool take_four(Four& requests) noexcept;
  Io* take() noexcept;
  bool writes_around_cache(const Io& io) noexcept;
  const std::byte* prefetch_target(const Io* waiting, std::uint64_t blocks) const noexcept;

  MallocDevice& device_;
  detail::ThreadCore& core_;
  Io* head_ = nullptr;
  Io** tail_ = &head_;
  TouchedPages touched_;
};

}  // namespace spdkio::bdev
