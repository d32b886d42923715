// Blobstores on SPDK's bdevs.
#include <spdkio/blob/blob.hpp>
#include <spdkio/blob/blobstore.hpp>

#include <cstdint>
#include <string>

#include "spdk_fixture.hpp"

namespace spdkio::spdk_test {
namespace {

constexpr std::uint64_t store_blocks = 64 * 2048;
constexpr std::uint32_t cluster = 256 * 1024;

DmaBuf filled(unsigned seed) {
  DmaBuf data{cluster};
  fill_random(data, seed);
  return data;
}

Task<> write_cluster(blob::Blobstore& store, blob::Blob& blob, std::uint64_t index, unsigned seed) {
  blob::BlobChannel channel = store.io_channel();
  const DmaBuf data = filled(seed);
  co_await blob.write(channel, data, ByteOffset{index * cluster});
  co_await blob.flush(channel);
}

Task<bool> holds(blob::Blobstore& store, blob::Blob& blob, std::uint64_t index, unsigned seed) {
  blob::BlobChannel channel = store.io_channel();
  const DmaBuf data{cluster};
  co_await blob.read(channel, data, ByteOffset{index * cluster});
  const DmaBuf expected = filled(seed);
  co_return equal(data, expected);
}

Task<> fill_source() {
  BdevDesc source = co_await BdevDesc::open("Source", Access::read_write);
  IoChannel channel = source.io_channel();
  const DmaBuf data = filled(3);
  co_await source.write(channel, data, ByteOffset{0});
  channel.close();
  co_await source.close();
}

class BlobOnSpdkTest : public SpdkTest {
 protected:
  void SetUp() override {
    SpdkTest::SetUp();
    make_malloc("Disk", store_blocks);
  }
};

TEST_F(BlobOnSpdkTest, KeepsBlobsSnapshotsAndExternalSnapshotsAcrossALoad) {
  make_malloc("Source", 4 * cluster / 512);
  const auto fill = []() -> Task<blob::BlobId> {
    co_await fill_source();
    blob::Blobstore store = co_await blob::Blobstore::init("Disk", {.cluster_size = cluster});
    const blob::BlobId id = co_await store.create({.num_clusters = 4, .thin = true, .external_snapshot = "Source"});
    blob::Blob blob = co_await store.open(id);
    co_await write_cluster(store, blob, 1, 1);
    co_await store.snapshot(id);
    co_await write_cluster(store, blob, 1, 2);
    co_await blob.close();
    co_await store.unload();
    co_return id;
  };
  const auto check = [](blob::BlobId id) -> Task<> {
    blob::Blobstore store = co_await blob::Blobstore::load("Disk");
    EXPECT_FALSE(store.recovered());
    blob::Blob blob = co_await store.open(id);
    blob::Blob snapshot = co_await store.open(blob.parent());
    const bool from_source = co_await holds(store, blob, 0, 3);
    const bool own = co_await holds(store, blob, 1, 2);
    const bool before = co_await holds(store, snapshot, 1, 1);
    EXPECT_TRUE(from_source);
    EXPECT_TRUE(own);
    EXPECT_TRUE(before);
    co_await snapshot.close();
    co_await blob.close();
    co_await store.unload();
  };
  const blob::BlobId id = block_on(fill());
  block_on(check(id));
}

TEST_F(BlobOnSpdkTest, IsRecoveredWhenItWasNotUnloaded) {
  const auto fill = []() -> Task<blob::BlobId> {
    blob::Blobstore store = co_await blob::Blobstore::init("Disk", {.cluster_size = cluster});
    const blob::BlobId id = co_await store.create({.num_clusters = 4});
    blob::Blob blob = co_await store.open(id);
    co_await write_cluster(store, blob, 3, 7);
    co_await blob.close();
    co_return id;  // the store is dropped
  };
  const auto check = [](blob::BlobId id) -> Task<> {
    blob::Blobstore store = co_await blob::Blobstore::load("Disk");
    EXPECT_TRUE(store.recovered());
    blob::Blob blob = co_await store.open(id);
    const bool own = co_await holds(store, blob, 3, 7);
    EXPECT_TRUE(own);
    co_await blob.close();
    co_await store.destroy();
  };
  const blob::BlobId id = block_on(fill());
  block_on(check(id));
}

}  // namespace
}  // namespace spdkio::spdk_test
