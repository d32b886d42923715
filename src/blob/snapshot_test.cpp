// Snapshots and clones through the public API.
#include <spdkio/blob/blobstore.hpp>
#include <spdkio/runtime/scope.hpp>

#include "blob/test_disk.hpp"

namespace spdkio::blob::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class SnapshotTest : public StoreTest {
 protected:
  void SetUp() override {
    media_ = std::make_shared<Media>(disk_bytes);
    disk_ = plug_in(media_);
    store_ = block_on(Blobstore::init(disk_, options));
  }
  void TearDown() override {
    block_on(store_.unload());
    StoreTest::TearDown();
  }
  void reload() {
    block_on(store_.unload());
    store_ = block_on(Blobstore::load(disk_));
    EXPECT_THAT(store_.damaged(), IsEmpty());
  }
  void write(BlobId id, std::uint64_t offset, std::size_t bytes, std::uint8_t value) {
    Blob blob = block_on(store_.open(id));
    fill(store_, blob, offset, bytes, value);
    block_on(blob.close());
  }
  /// The value that fills a cluster; -1 when it is not the same everywhere.
  int value_at(BlobId id, std::uint64_t index) {
    Blob blob = block_on(store_.open(id));
    const auto bytes = content(store_, blob, index * cluster, cluster);
    block_on(blob.close());
    return std::ranges::count(bytes, bytes[0]) == cluster ? std::to_integer<int>(bytes[0]) : -1;
  }

  std::shared_ptr<Media> media_;
  std::string disk_;
  Blobstore store_;
};

TEST_F(SnapshotTest, KeepsWhatTheBlobHad) {
  for (const bool thin : {false, true}) {
    const auto free = store_.free_clusters();
    const BlobId blob = create(store_, 8, thin);
    write(blob, 0, 4 * cluster, 1);
    const BlobId snapshot = block_on(store_.snapshot(blob));
    write(blob, cluster + 512, 512, 2);
    write(blob, 2 * cluster, cluster, 3);
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(value_at(snapshot, 1), 1);
      EXPECT_EQ(value_at(snapshot, 2), 1);
      EXPECT_EQ(value_at(blob, 0), 1);
      EXPECT_EQ(value_at(blob, 1), -1);
      EXPECT_EQ(value_at(blob, 2), 3);
      EXPECT_TRUE(store_.info(snapshot).read_only);
      EXPECT_THAT(store_.info(snapshot).clones, ElementsAre(blob));
      EXPECT_EQ(store_.info(blob).parent, snapshot);
      EXPECT_TRUE(store_.info(blob).thin);
      EXPECT_EQ(store_.info(blob).allocated_clusters, 2U);
      reload();
    }
    EXPECT_EQ(code_of(store_.snapshot(snapshot)), Misuse::read_only);
    // The only clone gets what it shares.
    block_on(store_.remove(snapshot));
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(value_at(blob, 0), 1);
      EXPECT_EQ(value_at(blob, 2), 3);
      EXPECT_FALSE(store_.info(blob).parent.valid());
      reload();
    }
    block_on(store_.remove(blob));
    EXPECT_EQ(store_.free_clusters(), free);
    EXPECT_EQ(store_.free_metadata_pages(), 64U);
  }
}

TEST_F(SnapshotTest, Chains) {
  const BlobId blob = create(store_, 4, true);
  write(blob, 0, cluster, 1);
  const BlobId first = block_on(store_.snapshot(blob));
  write(blob, cluster, cluster, 2);
  const BlobId second = block_on(store_.snapshot(blob));
  write(blob, 2 * cluster, cluster, 3);
  const BlobId clone = block_on(store_.clone(second));
  write(clone, 0, cluster, 9);
  EXPECT_EQ(code_of(store_.clone(blob)), Misuse::invalid_argument);
  EXPECT_EQ(code_of(store_.remove(second)), std::errc::device_or_resource_busy);
  reload();
  EXPECT_THAT(store_.info(second).clones, UnorderedElementsAre(blob, clone));
  EXPECT_EQ(store_.info(second).parent, first);
  EXPECT_EQ(value_at(blob, 0), 1);
  EXPECT_EQ(value_at(clone, 0), 9);
  EXPECT_EQ(value_at(clone, 1), 2);
  EXPECT_EQ(value_at(clone, 2), 0);
  {
    Blob open = block_on(store_.open(clone));
    EXPECT_EQ(open.seek_data(ByteOffset{512}), ByteOffset{512});
    EXPECT_EQ(open.seek_data(ByteOffset{2 * cluster}), std::nullopt);
    EXPECT_EQ(open.seek_hole(ByteOffset{0}), ByteOffset{2 * cluster});
    block_on(open.close());
  }
  // In the middle of a chain.
  block_on(store_.remove(clone));
  block_on(store_.remove(second));
  EXPECT_EQ(store_.info(blob).parent, first);
  EXPECT_EQ(value_at(blob, 1), 2);
  reload();
  EXPECT_EQ(value_at(blob, 0), 1);
  EXPECT_EQ(value_at(blob, 1), 2);
  EXPECT_EQ(value_at(blob, 2), 3);
}

TEST_F(SnapshotTest, InflatesAndDecouples) {
  const BlobId blob = create(store_, 4, true);
  write(blob, 0, cluster, 1);
  const BlobId first = block_on(store_.snapshot(blob));
  write(blob, cluster, cluster, 2);
  const BlobId second = block_on(store_.snapshot(blob));
  Blob open = block_on(store_.open(blob));
  block_on(open.decouple_parent());
  EXPECT_EQ(open.parent(), first);
  EXPECT_TRUE(open.thin());
  EXPECT_EQ(open.allocated().value, cluster);
  block_on(open.inflate());
  EXPECT_FALSE(open.is_clone());
  EXPECT_FALSE(open.thin());
  EXPECT_EQ(open.allocated().value, 4U * cluster);
  EXPECT_THROW(block_on(open.decouple_parent()), Error);
  block_on(open.close());
  reload();
  EXPECT_EQ(value_at(blob, 0), 1);
  EXPECT_EQ(value_at(blob, 1), 2);
  EXPECT_EQ(value_at(blob, 2), 0);
  EXPECT_FALSE(store_.info(blob).thin);
  block_on(store_.remove(second));
  block_on(store_.remove(first));
}

TEST_F(SnapshotTest, IsTakenWhileTheBlobIsWritten) {
  const BlobId id = create(store_, 8, true);
  Blob blob = block_on(store_.open(id));
  bool done = false;
  const auto write_on = [&]() -> Task<> {
    BlobChannel channel = store_.io_channel();
    DmaBuf data{cluster};
    std::uint8_t round = 0;
    while (!done) {
      ++round;
      data.fill(std::byte{round});
      co_await blob.write(channel, data, ByteOffset{round % 8U * cluster});
    }
  };
  std::vector<BlobId> snapshots;
  const auto snap = [&]() -> Task<> {
    for (int i = 0; i < 5; ++i) snapshots.push_back(co_await store_.snapshot(id));
    done = true;
  };
  const auto both = [&]() -> Task<> {
    Scope scope;
    scope.spawn(write_on());
    scope.spawn(write_on());
    scope.spawn(snap());
    co_await scope.join();
  };
  block_on(both());
  block_on(blob.close());
  // What a snapshot has does not change any more.
  std::vector<int> before;
  for (const BlobId snapshot : snapshots) {
    for (std::uint64_t index = 0; index < 8; ++index) before.push_back(value_at(snapshot, index));
  }
  write(id, 0, 8 * cluster, 0xAA);
  reload();
  std::vector<int> after;
  for (const BlobId snapshot : snapshots) {
    for (std::uint64_t index = 0; index < 8; ++index) after.push_back(value_at(snapshot, index));
  }
  EXPECT_EQ(before, after);
  EXPECT_EQ(std::ranges::count(after, -1), 0);
}

TEST_F(SnapshotTest, AnotherParent) {
  const BlobId blob = create(store_, 4, true);
  write(blob, 0, 2 * cluster, 1);
  const BlobId first = block_on(store_.snapshot(blob));
  write(blob, 0, 3 * cluster, 2);
  const BlobId second = block_on(store_.snapshot(blob));
  const BlobId twin = block_on(store_.clone(second));
  write(twin, 3 * cluster, cluster, 9);
  EXPECT_EQ(value_at(twin, 0), 2);

  Blob open = block_on(store_.open(twin));
  EXPECT_EQ(code_of(open.set_parent(second)), std::errc::file_exists);
  EXPECT_EQ(code_of(open.set_parent(twin)), Misuse::invalid_argument);
  EXPECT_EQ(code_of(open.set_parent(blob)), Misuse::invalid_argument) << "it can be written";
  EXPECT_EQ(code_of(open.set_parent(BlobId{0x100000063})), std::errc::no_such_file_or_directory);
  block_on(open.set_parent(first));
  block_on(open.close());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(store_.info(twin).parent, first);
    EXPECT_THAT(store_.info(first).clones, UnorderedElementsAre(second, twin));
    EXPECT_THAT(store_.info(second).clones, ElementsAre(blob));
    EXPECT_EQ(value_at(twin, 0), 1);
    EXPECT_EQ(value_at(twin, 2), 0);
    EXPECT_EQ(value_at(twin, 3), 9) << "what it has itself stays";
    EXPECT_EQ(value_at(blob, 0), 2);
    reload();
  }
}

TEST_F(SnapshotTest, AParentForABlobThatHadNone) {
  const BlobId origin = create(store_, 4, true);
  write(origin, 0, 4 * cluster, 1);
  const BlobId snapshot = block_on(store_.snapshot(origin));
  const BlobId thin = create(store_, 4, true);
  const BlobId thick = create(store_, 4, false);
  const BlobId small = create(store_, 3, true);
  write(thin, cluster, cluster, 5);
  for (const BlobId unfit : {thick, small}) {
    Blob blob = block_on(store_.open(unfit));
    EXPECT_EQ(code_of(blob.set_parent(snapshot)), Misuse::invalid_argument);
    block_on(blob.close());
  }
  Blob blob = block_on(store_.open(thin));
  block_on(blob.set_parent(snapshot));
  block_on(blob.close());
  // A snapshot of itself, below it: that would be a circle.
  const BlobId below = block_on(store_.snapshot(thin));
  Blob top = block_on(store_.open(snapshot));
  EXPECT_EQ(code_of(top.set_parent(below)), Misuse::invalid_argument);
  block_on(top.close());
  reload();
  EXPECT_EQ(value_at(thin, 0), 1);
  EXPECT_EQ(value_at(thin, 1), 5);
  EXPECT_EQ(store_.info(below).parent, snapshot);
}

TEST_F(SnapshotTest, ShallowCopyTakesWhatABlobHasItself) {
  const BlobId blob = create(store_, 4, true);
  write(blob, 0, 2 * cluster, 1);
  const BlobId base = block_on(store_.snapshot(blob));
  write(blob, cluster, cluster, 2);
  write(blob, 3 * cluster, 512, 3);
  const BlobId top = block_on(store_.snapshot(blob));
  const auto target = std::make_shared<Media>(4 * cluster);
  std::ranges::fill(target->bytes, std::byte{0xEE});
  const std::string name = plug_in(target);
  const std::string small = plug_in(std::make_shared<Media>(3 * cluster));
  const auto copy = [&](BlobId of, const std::string& to, CopyProgress& progress) -> Task<> {
    BdevDesc device = co_await BdevDesc::open(to, Access::read_write);
    Blob open = co_await store_.open(of);
    const auto copied = co_await as_result(open.shallow_copy(device, progress));
    co_await open.close();
    co_await device.close();
    if (!copied) throw copied.error();
  };
  CopyProgress progress;
  EXPECT_EQ(code_of(copy(blob, name, progress)), std::errc::operation_not_permitted);
  EXPECT_EQ(code_of(copy(top, small, progress)), Misuse::out_of_range);
  EXPECT_EQ(progress.total, 0U);
  block_on(copy(top, name, progress));
  EXPECT_EQ(progress.done, 2U);
  EXPECT_EQ(progress.total, 2U);
  const auto part = [&](std::size_t index) {
    return std::vector<std::byte>(target->bytes.begin() + static_cast<std::ptrdiff_t>(index * cluster),
                                  target->bytes.begin() + static_cast<std::ptrdiff_t>((index + 1) * cluster));
  };
  EXPECT_EQ(part(0), all(cluster, 0xEE)) << "shared with the snapshot below";
  EXPECT_EQ(part(1), all(cluster, 2));
  EXPECT_EQ(part(2), all(cluster, 0xEE));
  EXPECT_EQ(part(3)[0], std::byte{3});
  EXPECT_EQ(part(3)[512], std::byte{0});
  EXPECT_EQ(value_at(base, 0), 1);
}

}  // namespace
}  // namespace spdkio::blob::test
