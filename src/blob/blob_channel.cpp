#include <spdkio/blob/blob_channel.hpp>

#include <utility>

#include "blob/store.hpp"

namespace spdkio::blob {

const IoChannel& ChannelState::channel_of(const ExternalSnapshot& device) {
  const auto found = external.find(&device);
  if (found != external.end()) return found->second;
  return external.emplace(&device, device.device().io_channel()).first->second;
}

BlobChannel& BlobChannel::operator=(BlobChannel&& other) noexcept {
  if (this != &other) {
    close();
    state_ = std::move(other.state_);
  }
  return *this;
}

void BlobChannel::close() noexcept {
  if (state_ == nullptr) return;
  const std::shared_ptr<ChannelState> state = std::exchange(state_, nullptr);
  state->store->drop_channel(state);
}

}  // namespace spdkio::blob
