// UringChannel: a file as one Thread reaches it by io_uring.
#pragma once

#include <spdkio/bdev/channel.hpp>

#include <liburing.h>

#include <memory>

#include "bdev_modules/file/backing_file.hpp"
#include "bdev_modules/file/channel_list.hpp"
#include "bdev_modules/file/helper_requests.hpp"
#include "bdev_modules/file/in_flight.hpp"
#include "bdev_modules/file/request_head.hpp"
#include "bdev_modules/file/ring.hpp"
#include "bdev_modules/file/transfer_cursor.hpp"

namespace spdkio::bdev::file {

class UringChannel;

/// What a request carries while the ring has it.
struct UringRequest : RequestHead {
  UringRequest(UringChannel& owner, const Io& io, std::uint32_t block_size) noexcept
      : channel(&owner), cursor(io.spans(), io.lba * block_size, io.blocks * block_size) {}
  UringChannel* channel;
  TransferCursor cursor;                            // of reads and writes; the others have the range in it
  ZeroMethod zero_method = ZeroMethod::zero_range;  // write_zeroes: what the kernel was asked for
};

class UringChannel final : public Channel {
 public:
  UringChannel(RingHandle ring, std::shared_ptr<BackingFile> file, std::shared_ptr<WorkerPool> pool,
               std::shared_ptr<ChannelList> channels);
  ~UringChannel() override;

  void submit(Io& io) noexcept override;
  void abort(Io& io) noexcept override;

  // ---- for the ring
  void prepare(Io& io, io_uring_sqe& sqe) noexcept;
  /// `result` is that of the system call, or a negative errno.
  void answered(Io& io, int result) noexcept;
  /// The kernel did not get it.
  void refused(Io& io, int errno_value) noexcept;

 private:
  void prepare_transfer(const Io& io, const TransferCursor& cursor, io_uring_sqe& sqe) noexcept;
  void moved(Io& io, std::uint32_t bytes) noexcept;
  void failed(Io& io, int errno_value) noexcept;
  void cancelled(Io& io, Outcome if_untouched) noexcept;
  bool untouched(Io& io) const noexcept;
  void end(Io& io, IoStatus status) noexcept;

  RingHandle ring_;
  std::shared_ptr<BackingFile> file_;
  std::shared_ptr<ChannelList> channels_;
  std::shared_ptr<InFlight> in_flight_;
  HelperRequests helpers_;
  int fd_;            // the descriptor, or its number in the ring
  unsigned fd_flag_;  // says which
};

}  // namespace spdkio::bdev::file
