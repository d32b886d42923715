// TestDisk: a disk in memory for the tests of this folder, that remembers every write and flush, and what they run on.
#pragma once

#include <spdkio/bdev/coroutine_device.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/blob/blobstore.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "bdev/registry.hpp"
#include "engine/fake_engine.hpp"

namespace spdkio::blob::test {

/// A copy of what it guards has one of its own.
struct OwnMutex : std::mutex {
  OwnMutex() = default;
  OwnMutex(const OwnMutex&) noexcept : std::mutex() {}
};

/// What lies on a disk, and what was done to it.
struct Media {
  explicit Media(std::size_t size, std::uint32_t block = 512) : bytes(size), block_size(block) {}

  struct Change {
    std::uint64_t offset = 0;
    std::vector<std::byte> data;  ///< empty: a flush
  };
  std::vector<std::byte> bytes;
  std::uint32_t block_size;
  bool recording = false;
  std::vector<Change> changes;
  std::set<std::uint64_t> bad_blocks;  ///< reads of these fail
  std::int64_t writes_until_failure = -1;
  std::uint64_t writes = 0, flushes = 0, reads = 0;
  bool slow = false;  ///< each request gives way to others before it ends
  std::size_t in_flight = 0, most_in_flight = 0;
  OwnMutex mutex;  ///< around all of this while requests come from several Threads

  /// What a power cut leaves after the first `count` changes: all up to the last flush among them; of what came later
  /// any blocks.
  std::vector<std::byte> cut(std::vector<std::byte> start, std::size_t count, std::mt19937_64& random) const {
    std::size_t flushed = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (changes[i].data.empty()) flushed = i;
    }
    // Some cuts keep nearly all, some nearly nothing: both find mistakes that an even chance does not.
    const std::uint64_t kept_of_8 = random() % 9;
    for (std::size_t i = 0; i < count; ++i) {
      const Change& change = changes[i];
      for (std::size_t at = 0; at < change.data.size(); at += block_size) {
        if (i > flushed && random() % 8 >= kept_of_8) continue;
        std::memcpy(start.data() + change.offset + at, change.data.data() + at, block_size);
      }
    }
    return start;
  }
};

class TestDisk final : public bdev::CoroutineDevice {
 public:
  TestDisk(std::string name, std::shared_ptr<Media> media, const Uuid& uuid = {})
      : CoroutineDevice(std::move(name), "Test disk",
                        {.block_size = media->block_size,
                         .num_blocks = media->bytes.size() / media->block_size,
                         .volatile_write_cache = true},
                        {bdev::IoType::read, bdev::IoType::write, bdev::IoType::write_zeroes, bdev::IoType::unmap,
                         bdev::IoType::flush}),
        media_(std::move(media)) {
    set_uuid(uuid);
  }

  Task<> serve(bdev::IoRequest& io) override {
    if (media_->slow) {
      media_->most_in_flight = std::max(media_->most_in_flight, ++media_->in_flight);
      for (int round = 0; round < 4; ++round) co_await yield();
      --media_->in_flight;
    }
    const std::lock_guard lock(media_->mutex);
    const std::uint64_t offset = io.range().first.value * media_->block_size;
    const std::size_t size = io.range().count.value * media_->block_size;
    switch (io.type()) {
      case bdev::IoType::read: {
        ++media_->reads;
        for (std::uint64_t block = io.range().first.value; block < io.range().end().value; ++block) {
          if (media_->bad_blocks.contains(block)) throw Error(nvme_sc::unrecovered_read_error);
        }
        const std::byte* from = media_->bytes.data() + offset;
        for (const DmaSpan& span : io.buffers()) {
          std::memcpy(span.data(), from, span.size());
          from += span.size();
        }
        break;
      }
      case bdev::IoType::write: {
        std::vector<std::byte> data;
        for (const DmaSpan& span : io.buffers()) data.insert(data.end(), span.data(), span.data() + span.size());
        change(offset, std::move(data));
        break;
      }
      case bdev::IoType::write_zeroes: change(offset, std::vector<std::byte>(size)); break;
      // What is read after an unmap is not defined: make sure that nobody counts on zeros.
      case bdev::IoType::unmap: change(offset, std::vector<std::byte>(size, std::byte{0xDD})); break;
      default:
        ++media_->flushes;
        if (media_->recording) media_->changes.push_back({});
        break;
    }
    co_return;
  }

 private:
  void change(std::uint64_t offset, std::vector<std::byte> data) {
    if (media_->writes_until_failure == 0) throw Error(nvme_sc::write_fault);
    if (media_->writes_until_failure > 0) --media_->writes_until_failure;
    ++media_->writes;
    std::memcpy(media_->bytes.data() + offset, data.data(), data.size());
    if (media_->recording) media_->changes.push_back({offset, std::move(data)});
  }
  std::shared_ptr<Media> media_;
};

class TestEngine final : public engine::Engine {
 public:
  TestEngine() { install(this); }
  ~TestEngine() override { install(nullptr); }
  std::string_view name() const noexcept override { return "test"; }
  std::string version() const override { return "test"; }
  const engine::Capabilities& capabilities() const noexcept override { return capabilities_; }
  engine::FakeMemory& memory() noexcept override { return memory_; }
  engine::ReactorService& reactors() noexcept override { std::abort(); }
  bdev::Registry& bdevs() noexcept override { return bdevs_; }

 private:
  engine::Capabilities capabilities_;
  engine::FakeMemory memory_;
  bdev::Registry bdevs_;
};

/// An engine, a Thread, and disks that are made as they are needed.
class StoreTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t cluster = 16384;
  static constexpr std::size_t disk_bytes = std::size_t{4} << 20;
  static constexpr StoreOptions options{
      .cluster_size = cluster, .metadata_pages = 64, .type = "test", .clear_method = ClearMethod::none};

  void TearDown() override {
    block_on(engine_.bdevs().unregister_all());
    thread_.close();
  }
  /// A disk that has what `media` has.
  std::string plug_in(std::shared_ptr<Media> media) {
    const std::string name = "disk" + std::to_string(disks_++);
    block_on(engine_.bdevs().register_device(std::make_unique<TestDisk>(name, std::move(media))));
    return name;
  }
  void unplug(const std::string& name) { block_on(engine_.bdevs().unregister_device(name)); }

  static BlobId create(Blobstore& store, std::uint64_t clusters, bool thin) {
    return block_on(store.create({.num_clusters = clusters, .thin = thin}));
  }
  static void fill(Blobstore& store, Blob& blob, std::uint64_t offset, std::size_t bytes, std::uint8_t value) {
    BlobChannel channel = store.io_channel();
    DmaBuf data{bytes};
    data.fill(std::byte{value});
    block_on(blob.write(channel, data, ByteOffset{offset}));
  }
  static std::vector<std::byte> content(Blobstore& store, Blob& blob, std::uint64_t offset, std::size_t bytes) {
    BlobChannel channel = store.io_channel();
    DmaBuf data{bytes};
    data.fill(std::byte{0xEE});
    block_on(blob.read(channel, data, ByteOffset{offset}));
    return {data.bytes().begin(), data.bytes().end()};
  }
  static std::vector<std::byte> all(std::size_t bytes, std::uint8_t value) {
    return std::vector<std::byte>(bytes, std::byte{value});
  }
  /// The error that a call ended with.
  template <class T>
  static std::error_code code_of(Task<T> task) {
    try {
      block_on(std::move(task));
    } catch (const Error& error) {
      return error.code();
    }
    return {};
  }

  TestEngine engine_;
  Thread thread_ = Thread::attach("blob test");
  int disks_ = 0;
};

}  // namespace spdkio::blob::test
