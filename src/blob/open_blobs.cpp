// Blobs that are opened and closed, and the devices that they start from, which are open as long as one needs them.
#include <spdkio/base/log.hpp>
#include <spdkio/bdev/bdev.hpp>

#include <algorithm>
#include <exception>
#include <utility>

#include "blob/store.hpp"

namespace spdkio::blob {

BlobNode* Store::find(BlobId id) noexcept {
  if ((id.value & ~std::uint64_t{0xFFFFFFFF}) != format::blob_id_high_bit) return nullptr;
  const auto found = nodes_.find(static_cast<std::uint32_t>(id.value));
  return found == nodes_.end() ? nullptr : found->second.get();
}

BlobNode& Store::get(BlobId id) {
  BlobNode* node = find(id);
  if (node == nullptr) {
    throw Error(std::errc::no_such_file_or_directory, "there is no blob " + to_string(id)).with_device(device().name());
  }
  return *node;
}

Task<BlobNode*> Store::open(BlobId id) {
  const auto operations = co_await operations_.lock();
  BlobNode& node = get(id);
  if (node.is_damaged()) {
    throw Error(std::errc::illegal_byte_sequence, "blob " + to_string(id) + " is damaged: " + node.damage)
        .with_device(device().name());
  }
  ++node.open_count;
  if (ExternalSnapshot* external = external_below(node); external != nullptr) {
    std::exception_ptr failure;
    try {
      const auto opening = co_await opening_externals_.lock();
      const bool in_use = std::ranges::any_of(nodes_, [&](const auto& entry) {
        const BlobNode& other = *entry.second;
        return other.open_count > (&other == &node ? 1U : 0U) && external_below(other) == external;
      });
      // A device that has gone is looked for again when nobody can be reading from it.
      if (external->there() && !in_use && external->device().bdev().removed()) {
        co_await drop_channels_to(*external);
        co_await external->close();
      }
      co_await external->open(block_size_);
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      --node.open_count;
      std::rethrow_exception(failure);
    }
    if (!external->there()) {
      log::warn("blobstore on {}: blob {} starts from {}, which is not there: {}", device().name(), to_string(id),
                external->name(), external->reason());
    }
  }
  co_return &node;
}

Task<> Store::close(BlobNode& node) {
  close_now(node);
  co_await close_externals();
}

// ---- external snapshots

ExternalSnapshot* Store::external_below(const BlobNode& node) noexcept {
  const BlobNode* at = &node;
  while (const BlobNode* above = at->parent.load(std::memory_order_acquire)) at = above;
  return at->external.load(std::memory_order_acquire);
}

ExternalSnapshot* Store::add_external(std::span<const std::byte> id) {
  return externals_.emplace_back(std::make_unique<ExternalSnapshot>(id)).get();
}

Task<> Store::close_externals() {
  if (externals_.empty()) co_return;
  const auto opening = co_await opening_externals_.lock();
  std::set<const ExternalSnapshot*> needed;
  std::set<const ExternalSnapshot*> known;
  for (const auto& [root, node] : nodes_) {
    if (node->is_damaged()) continue;
    if (node->open_count != 0) needed.insert(external_below(*node));
    known.insert(node->external.load(std::memory_order_relaxed));
  }
  for (std::size_t i = 0; i < externals_.size(); ++i) {
    ExternalSnapshot& external = *externals_[i];
    if (needed.contains(&external) || !external.there()) continue;
    co_await drop_channels_to(external);
    co_await external.close();
  }
  // Nobody reads from these: what led to them was quiesced when it was changed.
  std::erase_if(externals_, [&](const auto& external) { return !known.contains(external.get()); });
}

}  // namespace spdkio::blob
