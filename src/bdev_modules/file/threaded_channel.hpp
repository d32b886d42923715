// ThreadedChannel: a file as one Thread reaches it where io_uring is forbidden: by helper threads.
#pragma once

#include <spdkio/bdev/channel.hpp>

#include <memory>

#include "bdev_modules/file/channel_list.hpp"
#include "bdev_modules/file/helper_requests.hpp"

namespace spdkio::bdev::file {

class ThreadedChannel final : public Channel {
 public:
  ThreadedChannel(std::shared_ptr<BackingFile> file, std::shared_ptr<WorkerPool> pool,
                  std::shared_ptr<ChannelList> channels)
      : channels_(std::move(channels)),
        in_flight_(std::make_shared<InFlight>()),
        helpers_(std::move(file), std::move(pool), in_flight_) {
    channels_->add(in_flight_);
  }
  ~ThreadedChannel() override { channels_->remove(in_flight_); }

  void submit(Io& io) noexcept override;
  void abort(Io& io) noexcept override;

 private:
  std::shared_ptr<ChannelList> channels_;
  std::shared_ptr<InFlight> in_flight_;
  HelperRequests helpers_;
};

}  // namespace spdkio::bdev::file
