#pragma once

#include <spdkio/bdev/channel.hpp>
#include <spdkio/runtime/thread_core.hpp>

namespace spdkio::bdev {

class MallocDevice;

/// Collects the requests of one poll round, so that while one is copied the memory of the next is already on its way.
class MallocChannel final : public Channel, private detail::Deferred {
 public:
  explicit MallocChannel(MallocDevice& device);
  void submit(Io& io) noexcept override;
  void abort(Io& io) noexcept override;

 private:
  static std::size_t run_queue(detail::Deferred& self) noexcept;
  const std::byte* prefetch_target(const Io* io) const noexcept;

  MallocDevice& device_;
  detail::ThreadCore& core_;
  Io* head_ = nullptr;
  Io** tail_ = &head_;
};

}  // namespace spdkio::bdev
