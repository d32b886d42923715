#pragma once

#include <spdkio/runtime/thread.hpp>

#include <cerrno>
#include <mutex>
#include <string>
#include <vector>

#include "bdev_modules/error/injections.hpp"
#include "bdev_modules/stacked/stacked_device.hpp"

namespace spdkio::bdev {

class ErrorDevice;

class ErrorChannel final : public StackedChannel {
 public:
  explicit ErrorChannel(ErrorDevice& device);
  ~ErrorChannel() override;
  void submit(Io& io) noexcept override;
  void abort(Io& io) noexcept override;
  void device_removed() noexcept override { end_pending(IoStatus::system(ENODEV, Outcome::aborted)); }
  /// Ends what an injected hang holds.
  void end_pending(IoStatus status) noexcept;

 private:
  void child_done(StackedChild& child) noexcept override;
  ErrorDevice& device_;
  Io* pending_ = nullptr;
};

class ErrorDevice final : public StackedDevice {
 public:
  ErrorDevice(std::string name, std::shared_ptr<StackedBase> base, const Uuid& uuid);
  bool supports(IoType type) const noexcept override;
  std::unique_ptr<Channel> make_channel() override { return std::make_unique<ErrorChannel>(*this); }
  Task<> shut_down() override {
    shared_base()->close();
    return StackedDevice::shut_down();
  }
  nlohmann::ordered_json driver_specific() const override;
  nlohmann::ordered_json config() const override;

  Injections& injections() noexcept { return injections_; }
  void channel_opened(ErrorChannel& channel);
  void channel_closed(ErrorChannel& channel) noexcept;
  /// Drops the rules and ends what is pending on every Thread.
  Task<> clear();

 private:
  struct Opened {
    ErrorChannel* channel;
    ThreadHandle thread;
  };
  Task<> end_pending_of(Opened opened);
  Injections injections_;
  std::mutex mutex_;
  std::vector<Opened> channels_;
};

}  // namespace spdkio::bdev
