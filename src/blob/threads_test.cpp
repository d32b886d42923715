// A blob that another Thread reads and writes while the store's own takes snapshots of it and gives clusters back.
#include <spdkio/blob/blobstore.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <atomic>
#include <thread>

#include "blob/test_disk.hpp"

namespace spdkio::blob::test {
namespace {

using namespace std::chrono_literals;

class BlobThreadsTest : public StoreTest {};

/// Each cluster is written whole, always with one value, and read back at once: nobody else writes it.
Task<> write_and_check(Blobstore& store, Blob& blob, std::uint32_t cluster_size, int rounds) {
  BlobChannel channel = store.io_channel();
  DmaBuf data{cluster_size};
  DmaBuf back{cluster_size};
  for (int round = 0; round < rounds; ++round) {
    const ByteOffset where{std::uint64_t(round % 8) * cluster_size};
    data.fill(static_cast<std::byte>(round % 250 + 1));
    co_await blob.write(channel, data, where);
    co_await blob.read(channel, back, where);
    EXPECT_EQ(std::memcmp(data.data(), back.data(), cluster_size), 0) << "round " << round;
    if (round % 16 == 15) co_await blob.flush(channel);
  }
}

Task<int> snapshot_until(Blobstore& store, BlobId id, const std::atomic<bool>& done) {
  int count = 0;
  while (!done) {
    const BlobId snapshot = co_await store.snapshot(id);
    co_await sleep_for(1ms);
    co_await store.remove(snapshot);
    ++count;
  }
  co_return count;
}

TEST_F(BlobThreadsTest, SnapshotsUnderTheIoOfAnotherThread) {
  const auto media = std::make_shared<Media>(disk_bytes);
  Blobstore store = block_on(Blobstore::init(plug_in(media), options));
  const auto free = store.free_clusters();
  const BlobId id = create(store, 8, true);
  Blob blob = block_on(store.open(id));
  std::atomic<bool> done{false};
  std::thread other([&] {
    Thread thread = Thread::attach("other");
    block_on(write_and_check(store, blob, cluster, 400));
    thread.close();
    done = true;
  });
  const int snapshots = block_on(snapshot_until(store, id, done));
  other.join();
  EXPECT_GT(snapshots, 0);
  EXPECT_EQ(blob.allocated().value, 8U * cluster);
  EXPECT_EQ(store.free_clusters(), free - 8) << "nothing is lost, nothing is taken twice";
  BlobChannel channel = store.io_channel();
  block_on(blob.unmap(channel, {ByteOffset{0}, ByteCount{8 * cluster}}));
  channel.close();
  EXPECT_EQ(store.free_clusters(), free);
  block_on(blob.close());
  block_on(store.unload());
}

TEST_F(BlobThreadsTest, AChannelServesItsThreadOnly) {
  Blobstore store = block_on(Blobstore::init(plug_in(std::make_shared<Media>(disk_bytes)), options));
  Blob blob = block_on(store.open(create(store, 1, false)));
  BlobChannel channel = store.io_channel();
  const DmaBuf data{512};
  std::error_code code;
  std::thread other([&] {
    Thread thread = Thread::attach("other");
    code = code_of(blob.read(channel, data, ByteOffset{0}));
    thread.close();
  });
  other.join();
  EXPECT_EQ(code, Misuse::wrong_thread);
  channel.close();
  EXPECT_EQ(code_of(blob.read(channel, data, ByteOffset{0})), Misuse::already_closed);
  block_on(blob.close());
  block_on(store.unload());
}

}  // namespace
}  // namespace spdkio::blob::test
