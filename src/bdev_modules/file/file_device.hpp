// FileDevice: the bdev over a file.
#pragma once

#include <spdkio/bdev/device.hpp>

#include <memory>
#include <string>
#include <string_view>

#include "bdev_modules/file/backing_file.hpp"
#include "bdev_modules/file/channel_list.hpp"
#include "bdev_modules/file/file_settings.hpp"
#include "bdev_modules/file/worker_pool.hpp"

namespace spdkio::bdev::file {

class FileDevice final : public Device {
 public:
  FileDevice(const FileSettings& settings, std::shared_ptr<BackingFile> file, std::shared_ptr<WorkerPool> pool);
  ~FileDevice() override;

  bool supports(IoType type) const noexcept override;
  std::unique_ptr<Channel> make_channel() override;
  nlohmann::ordered_json driver_specific() const override;
  nlohmann::ordered_json config() const override;

  /// The open file of a registered device of this module; null when `name` is none. Any OS thread.
  static std::shared_ptr<BackingFile> find_file(const std::string& name);
  static std::string_view product_name_of(FileStyle style) noexcept;

 private:
  FileSettings settings_;
  std::shared_ptr<BackingFile> file_;
  std::shared_ptr<WorkerPool> pool_;
  std::shared_ptr<ChannelList> channels_;
};

}  // namespace spdkio::bdev::file
