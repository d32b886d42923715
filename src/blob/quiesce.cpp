// The channels of a store, and waiting until what runs on them has ended.
#include <algorithm>

#include "blob/store.hpp"

namespace spdkio::blob {

std::shared_ptr<ChannelState> Store::make_channel() {
  auto channel = std::make_shared<ChannelState>();
  channel->store = shared_from_this();
  channel->io = device().io_channel();
  channel->home = CurrentThread::handle();
  const std::lock_guard lock(channels_mutex_);
  channels_.push_back(channel);
  return channel;
}

void Store::drop_channel(const std::shared_ptr<ChannelState>& channel) noexcept {
  const std::lock_guard lock(channels_mutex_);
  std::erase(channels_, channel);
}

namespace {

/// On the channel's Thread.
Task<> visit(ChannelState& channel, bool drain) {
  if (!drain) {
    channel.thawed.set();
    co_return;
  }
  channel.thawed.reset();
  const unsigned former = channel.phase;
  channel.phase ^= 1;
  while (channel.in_flight[former] != 0) {
    channel.drained.reset();
    co_await channel.drained.wait();
  }
}

Task<> forget_channel(ChannelState& state, const ExternalSnapshot& device) {
  std::erase_if(state.external, [&](const auto& entry) { return entry.first == &device; });
  co_return;
}

}  // namespace

template <class F>
Task<> Store::for_each_channel(F fn) {
  const auto guard = co_await draining_.lock();
  std::vector<std::shared_ptr<ChannelState>> channels;
  {
    const std::lock_guard lock(channels_mutex_);
    channels = channels_;
  }
  for (const auto& channel : channels) {
    ChannelState& state = *channel;
    const auto there = [&state, &fn] { return fn(state); };
    auto call = state.home.call(there);
    try {
      co_await std::move(call);
    } catch (const Error& error) {
      // Its Thread has ended, and so has all I/O on it.
      if (error.code() != std::errc::no_such_process) throw;
    }
  }
}

Task<> Store::visit_channels(bool drain) {
  const auto one = [drain](ChannelState& state) { return visit(state, drain); };
  return for_each_channel(one);
}

Task<> Store::quiesce() { return visit_channels(true); }

Task<> Store::freeze(BlobNode& node) {
  node.frozen.store(true, std::memory_order_release);
  try {
    co_await visit_channels(true);
  } catch (...) {
    node.frozen.store(false, std::memory_order_release);
    throw;
  }
}

Task<> Store::thaw(BlobNode& node) {
  node.frozen.store(false, std::memory_order_release);
  return visit_channels(false);
}

Task<> Store::drop_channels_to(const ExternalSnapshot& external) {
  co_await quiesce();
  const auto forget = [&external](ChannelState& state) { return forget_channel(state, external); };
  co_await for_each_channel(forget);
}

}  // namespace spdkio::blob
