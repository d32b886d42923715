#include "blob/external_snapshot.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/bdev/bdev.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <algorithm>
#include <utility>

#include "bdev/device_lookup.hpp"

namespace spdkio::blob {
namespace {

/// SPDK's logical volumes end the text with a zero.
std::string text_of(std::span<const std::byte> id) {
  std::string text(reinterpret_cast<const char*>(id.data()), id.size());
  text.resize(std::min(text.find('\0'), text.size()));
  return text;
}

}  // namespace

ExternalSnapshot::ExternalSnapshot(std::span<const std::byte> id) : name_(text_of(id)) {}

void ExternalSnapshot::require() const {
  if (there()) return;
  throw Error(std::errc::no_such_device, "the external snapshot that the blob starts from is not there")
      .with_device(name_)
      .with_hint("make that bdev available and open the blob again");
}

Task<> ExternalSnapshot::try_open(std::uint32_t store_block_size) {
  const auto found = bdev::find_device(name_);
  if (found == nullptr) {
    throw Error(std::errc::no_such_device, "there is no such bdev").with_operation("open").with_device(name_);
  }
  BdevDesc device = co_await BdevDesc::open(found->name(), Access::read_only);
  std::string refused;
  try {
    if (device.block_size() > store_block_size || store_block_size % device.block_size() != 0) {
      refused = "its blocks of " + std::to_string(device.block_size()) + " bytes do not fit those of the store, " +
                std::to_string(store_block_size);
    } else {
      device.claim(bdev::Claim::read_many_write_none, "blobstore external snapshot");
      channel_ = device.io_channel();
    }
  } catch (const Error& error) {
    refused = error.what();
  }
  if (!refused.empty()) {
    co_await device.close();
    throw Error(std::errc::invalid_argument, refused).with_device(name_);
  }
  size_ = device.size().value;
  device_ = std::move(device);
  reason_.clear();
  there_.store(true, std::memory_order_release);
}

Task<> ExternalSnapshot::open(std::uint32_t store_block_size) {
  if (there()) co_return;
  const auto opened = co_await as_result(try_open(store_block_size));
  if (!opened) reason_ = opened.error().what();
}

Task<> ExternalSnapshot::close() {
  if (!there_.exchange(false, std::memory_order_acq_rel)) co_return;
  reason_ = "it was closed";
  channel_.close();
  BdevDesc device = *std::exchange(device_, std::nullopt);
  const auto closed = co_await as_result(device.close());
  if (!closed) log::warn("external snapshot {}: {}", name_, closed.error().what());
}

}  // namespace spdkio::blob
