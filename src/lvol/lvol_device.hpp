// LvolDevice: a logical volume as a block device.
#pragma once

#include <spdkio/bdev/coroutine_device.hpp>
#include <spdkio/blob/blob.hpp>

#include <memory>
#include <string>
#include <vector>

namespace spdkio::lvol {

class LvolStore;

/// Its name is its UUID, its alias "store/volume", as in SPDK. It has the blob open for as long as it is registered.
class LvolDevice final : public bdev::CoroutineDevice {
 public:
  LvolDevice(std::shared_ptr<LvolStore> store, blob::Blob blob, const std::string& name, const Uuid& uuid);

  Task<> serve(bdev::IoRequest& io) override;
  std::unique_ptr<bdev::DeviceThreadState> make_thread_state() override;
  Task<> shut_down() override;
  std::vector<std::string> bases() const override;
  nlohmann::ordered_json driver_specific() const override;

  blob::Blob& blob() noexcept { return blob_; }

 private:
  Task<> seek(bdev::IoRequest& io, ByteOffset at);
  Task<> write_through(bdev::IoRequest& io, ByteOffset at);

  std::shared_ptr<LvolStore> store_;
  blob::Blob blob_;
};

}  // namespace spdkio::lvol
