#pragma once

#include <spdkio/bdev/device.hpp>
#include <spdkio/bdev_modules/null.hpp>

namespace spdkio::bdev {

class NullDevice final : public Device {
 public:
  /// Throws Error for options that can't be.
  explicit NullDevice(const NullOptions& options);
  bool supports(IoType type) const noexcept override;
  std::unique_ptr<Channel> make_channel() override;
  nlohmann::ordered_json config() const override;
};

}  // namespace spdkio::bdev
