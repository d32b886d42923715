// BlobChannel: a Thread's way to the blobs of a store.
#pragma once

#include <memory>

namespace spdkio::blob {

struct ChannelState;

/// Obtained with `Blobstore::io_channel` on the Thread that will use it; serves all blobs of the store. Move-only. It
/// must outlive the operations that use it, and go before the store is unloaded.
class BlobChannel {
 public:
  BlobChannel() noexcept = default;
  explicit BlobChannel(std::shared_ptr<ChannelState> state) noexcept : state_(std::move(state)) {}
  BlobChannel(BlobChannel&&) noexcept = default;
  BlobChannel& operator=(BlobChannel&& other) noexcept;
  ~BlobChannel() { close(); }

  void close() noexcept;
  explicit operator bool() const noexcept { return state_ != nullptr; }
  const std::shared_ptr<ChannelState>& state() const noexcept { return state_; }

 private:
  std::shared_ptr<ChannelState> state_;
};

}  // namespace spdkio::blob
