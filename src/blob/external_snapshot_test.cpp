// Blobs that start from another block device.
#include <spdkio/blob/blobstore.hpp>

#include "blob/test_disk.hpp"

namespace spdkio::blob::test {
namespace {

using ::testing::IsEmpty;

class ExternalSnapshotTest : public StoreTest {
 protected:
  static constexpr std::size_t source_bytes = 2 * cluster + 1024;  ///< ends inside of a cluster

  void SetUp() override {
    plug_in_source();
    media_ = std::make_shared<Media>(disk_bytes);
    disk_ = plug_in(media_);
    store_ = block_on(Blobstore::init(disk_, options));
  }
  void TearDown() override {
    if (store_) unload();
    StoreTest::TearDown();
  }
  void plug_in_source(std::uint32_t block = 512) {
    const auto media = std::make_shared<Media>(source_bytes / block * block, block);
    std::ranges::fill(media->bytes, std::byte{0x77});
    block_on(engine_.bdevs().register_device(std::make_unique<TestDisk>("source", media)));
  }
  void unload() {
    block_on(store_.unload());
    store_ = Blobstore{};
  }
  void reload(bool recover = false) {
    unload();
    store_ = block_on(Blobstore::load(disk_, {.recover = recover}));
    EXPECT_THAT(store_.damaged(), IsEmpty());
  }
  BlobId clone_of(std::string_view name) {
    return block_on(store_.create({.num_clusters = 4, .external_snapshot = name}));
  }
  Blob open(BlobId id) { return block_on(store_.open(id)); }
  void expect_untouched(Blob& blob) {
    EXPECT_EQ(content(store_, blob, 0, 2 * cluster), all(2 * cluster, 0x77));
    EXPECT_EQ(content(store_, blob, 2 * cluster, 1024), all(1024, 0x77));
    EXPECT_EQ(content(store_, blob, 2 * cluster + 1024, 2 * cluster - 1024), all(2 * cluster - 1024, 0));
  }

  std::shared_ptr<Media> media_;
  std::string disk_;
  Blobstore store_;
};

TEST_F(ExternalSnapshotTest, IsReadThroughAndCopiedOnWrite) {
  const BlobId id = clone_of("source");
  Blob blob = open(id);
  EXPECT_TRUE(blob.thin());
  EXPECT_EQ(blob.external_snapshot(), "source");
  EXPECT_FALSE(blob.degraded());
  expect_untouched(blob);
  fill(store_, blob, cluster + 512, 512, 1);
  fill(store_, blob, 2 * cluster + 512, 512, 2);
  const auto check = [&](Blob& now) {
    EXPECT_EQ(content(store_, now, 0, cluster + 512), all(cluster + 512, 0x77));
    EXPECT_EQ(content(store_, now, cluster + 512, 512), all(512, 1));
    EXPECT_EQ(content(store_, now, cluster + 1024, cluster - 512), all(cluster - 512, 0x77));
    EXPECT_EQ(content(store_, now, 2 * cluster + 512, 512), all(512, 2));
    EXPECT_EQ(content(store_, now, 2 * cluster + 1024, cluster), all(cluster, 0));
  };
  check(blob);
  EXPECT_EQ(code_of(BdevDesc::open("source", Access::read_write)), std::errc::operation_not_permitted);
  block_on(blob.close());
  block_on(block_on(BdevDesc::open("source", Access::read_write)).close());  // closed with the blob
  for (const bool recover : {false, true}) {
    reload(recover);
    blob = open(id);
    check(blob);
    block_on(blob.close());
  }
  EXPECT_EQ(store_.info(id).external_snapshot, "source");
}

TEST_F(ExternalSnapshotTest, IsFoundByUuidAsSpdkWritesIt) {
  const std::string uuid = engine_.bdevs().find("source")->uuid().to_string();
  Blob blob = open(clone_of(std::string_view(uuid.c_str(), uuid.size() + 1)));
  EXPECT_EQ(blob.external_snapshot(), uuid);
  expect_untouched(blob);
  block_on(blob.close());
}

TEST_F(ExternalSnapshotTest, WithoutItsDeviceTheRestWorks) {
  const BlobId id = clone_of("source");
  Blob blob = open(id);
  fill(store_, blob, 0, cluster, 3);
  block_on(blob.close());
  unload();
  unplug("source");
  store_ = block_on(Blobstore::load(disk_));
  EXPECT_THAT(store_.damaged(), IsEmpty());
  blob = open(id);
  EXPECT_TRUE(blob.degraded());
  EXPECT_EQ(content(store_, blob, 0, cluster), all(cluster, 3));
  BlobChannel channel = store_.io_channel();
  const DmaBuf data{512};
  EXPECT_EQ(code_of(blob.read(channel, data, ByteOffset{cluster})), std::errc::no_such_device);
  EXPECT_EQ(code_of(blob.write(channel, data, ByteOffset{cluster})), std::errc::no_such_device);
  try {
    block_on(blob.read(channel, data, ByteOffset{cluster}));
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("source"));
  }
  const DmaBuf whole{cluster};
  block_on(blob.write(channel, whole, ByteOffset{cluster}));  // nothing of the source is needed
  channel.close();
  EXPECT_EQ(code_of(blob.inflate()), std::errc::no_such_device);
  block_on(blob.close());

  plug_in_source();
  blob = open(id);
  EXPECT_FALSE(blob.degraded());
  EXPECT_EQ(content(store_, blob, cluster, cluster), all(cluster, 0));
  EXPECT_EQ(content(store_, blob, 2 * cluster, 1024), all(1024, 0x77));
  // It goes while it is open.
  unplug("source");
  channel = store_.io_channel();
  EXPECT_EQ(code_of(blob.read(channel, data, ByteOffset{2 * cluster})), std::errc::no_such_device);
  channel.close();
  block_on(blob.close());
  plug_in_source();
  blob = open(id);
  EXPECT_EQ(content(store_, blob, 2 * cluster, 1024), all(1024, 0x77));
  block_on(blob.close());
}

TEST_F(ExternalSnapshotTest, MovesToTheSnapshotAndBack) {
  const BlobId id = clone_of("source");
  Blob blob = open(id);
  fill(store_, blob, 0, 512, 1);
  const BlobId snapshot = block_on(store_.snapshot(id));
  fill(store_, blob, 512, 512, 2);
  EXPECT_EQ(blob.external_snapshot(), "");
  EXPECT_EQ(store_.info(snapshot).external_snapshot, "source");
  const auto check = [&](Blob& now) {
    EXPECT_EQ(content(store_, now, 0, 512), all(512, 1));
    EXPECT_EQ(content(store_, now, 512, 512), all(512, 2));
    EXPECT_EQ(content(store_, now, 1024, 2 * cluster), all(2 * cluster, 0x77));
  };
  check(blob);
  block_on(blob.close());
  reload(true);
  blob = open(id);
  check(blob);
  block_on(store_.remove(snapshot));
  EXPECT_EQ(blob.external_snapshot(), "source");
  check(blob);
  block_on(blob.close());
  reload(true);
  blob = open(id);
  check(blob);
  EXPECT_EQ(blob.external_snapshot(), "source");
  block_on(blob.close());
}

TEST_F(ExternalSnapshotTest, IsNotNeededAfterDecouplingOrInflating) {
  for (const bool all_clusters : {false, true}) {
    const BlobId id = clone_of("source");
    Blob blob = open(id);
    if (all_clusters) {
      block_on(blob.inflate());
    } else {
      block_on(blob.decouple_parent());
    }
    EXPECT_EQ(blob.thin(), !all_clusters);
    EXPECT_EQ(blob.external_snapshot(), "");
    EXPECT_EQ(blob.allocated().value, (all_clusters ? 4U : 3U) * cluster);
    block_on(block_on(BdevDesc::open("source", Access::read_write)).close());
    expect_untouched(blob);
    block_on(blob.close());
    reload(true);
    blob = open(id);
    expect_untouched(blob);
    block_on(blob.close());
  }
}

TEST_F(ExternalSnapshotTest, WholeClustersOfACloneAreNotGivenBack) {
  Blob blob = open(clone_of("source"));
  fill(store_, blob, 0, cluster, 1);
  BlobChannel channel = store_.io_channel();
  block_on(blob.unmap(channel, {ByteOffset{0}, ByteCount{cluster}}));
  channel.close();
  EXPECT_EQ(blob.allocated().value, cluster) << "else the source would show again";
  block_on(blob.close());
}

TEST_F(ExternalSnapshotTest, LargerBlocksThanTheStoreDoNotFit) {
  unplug("source");
  plug_in_source(4096);
  Blob blob = open(clone_of("source"));
  EXPECT_TRUE(blob.degraded());
  block_on(blob.close());
}

TEST_F(ExternalSnapshotTest, ABlobIsGivenOneAndAnotherParent) {
  const BlobId id = block_on(store_.create({.num_clusters = 4, .thin = true}));
  Blob blob = open(id);
  fill(store_, blob, cluster, 512, 5);
  EXPECT_EQ(code_of(blob.set_external_parent("nowhere")), std::errc::no_such_device);
  EXPECT_EQ(content(store_, blob, 0, cluster), all(cluster, 0));
  block_on(blob.set_external_parent("source"));
  EXPECT_EQ(code_of(blob.set_external_parent("source")), std::errc::file_exists);
  EXPECT_EQ(content(store_, blob, 0, cluster), all(cluster, 0x77));
  EXPECT_EQ(content(store_, blob, cluster, 512), all(512, 5));
  block_on(blob.close());
  reload();
  EXPECT_EQ(store_.info(id).external_snapshot, "source");
  blob = open(id);
  EXPECT_EQ(content(store_, blob, 0, cluster), all(cluster, 0x77));

  // From the device to a snapshot that starts from it too: the device stays open.
  Blob other = open(clone_of("source"));
  fill(store_, other, 0, 512, 6);
  const BlobId snapshot = block_on(store_.snapshot(other.id()));
  block_on(other.close());
  block_on(blob.set_parent(snapshot));
  EXPECT_EQ(blob.external_snapshot(), "");
  EXPECT_EQ(content(store_, blob, 0, 512), all(512, 6));
  EXPECT_EQ(content(store_, blob, 512, cluster - 512), all(cluster - 512, 0x77));
  block_on(blob.close());
  reload(true);
  EXPECT_EQ(store_.info(id).parent, snapshot);
}

}  // namespace
}  // namespace spdkio::blob::test
