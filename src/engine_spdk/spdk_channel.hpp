// SpdkChannel: requests of one Thread to a bdev of SPDK's.
#pragma once

#include <spdkio/bdev/channel.hpp>

#include <spdk/bdev.h>
#include <spdk/bdev_zone.h>

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace spdkio::spdk {

class LightThread;
class SpdkDevice;

/// Nothing is allocated for a request, but for a zone report and for the first scatter lists of a length. SPDK's lack
/// of room (ENOMEM) is told to the block layer, which keeps the request and sends it again in order.
class SpdkChannel final : public bdev::Channel {
 public:
  /// Throws Error.
  explicit SpdkChannel(SpdkDevice& device);
  ~SpdkChannel() override;

  void submit(bdev::Io& io) noexcept override;
  void abort(bdev::Io& io) noexcept override;

 private:
  /// A scatter list as SPDK wants it, kept for the next request.
  struct IovList {
    std::vector<iovec> entries;
    IovList* next = nullptr;
  };
  /// In the room that a request has for its module.
  struct Request {
    SpdkChannel* channel;
    IovList* list;
    spdk_bdev_zone_info* zones;
    bool abort_wanted;
    bool flush_follows;
  };

  int start(bdev::Io& io, Request& request);
  int start_transfer(bdev::Io& io, Request& request);
  spdk_bdev_desc* to_write(int& rc);
  iovec* list_of(Request& request, std::size_t first, std::size_t second);
  void release(Request& request) noexcept;
  static void on_done(spdk_bdev_io* done, bool success, void* context) noexcept;

  SpdkDevice& device_;
  LightThread& thread_;
  spdk_bdev_desc* read_descriptor_;
  spdk_bdev_desc* write_descriptor_ = nullptr;
  spdk_io_channel* channel_ = nullptr;
  bool flush_for_fua_;
  IovList* free_lists_ = nullptr;
  std::vector<std::unique_ptr<IovList>> lists_;
};

}  // namespace spdkio::spdk
