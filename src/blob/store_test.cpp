// Stores and blobs through the public API, on a disk in memory.
#include <spdkio/blob/blobstore.hpp>

#include "blob/store.hpp"
#include "blob/test_disk.hpp"

namespace spdkio::blob::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class BlobstoreTest : public StoreTest {
 protected:
  void SetUp() override {
    media_ = std::make_shared<Media>(disk_bytes);
    disk_ = plug_in(media_);
    store_ = block_on(Blobstore::init(disk_, options));
  }
  void TearDown() override {
    if (store_) unload();
    StoreTest::TearDown();
  }
  void unload() {
    block_on(store_.unload());
    store_ = Blobstore{};
  }
  void reload() {
    unload();
    store_ = block_on(Blobstore::load(disk_));
    EXPECT_FALSE(store_.recovered());
    EXPECT_THAT(store_.damaged(), IsEmpty());
  }
  Blob open(BlobId id) { return block_on(store_.open(id)); }

  std::shared_ptr<Media> media_;
  std::string disk_;
  Blobstore store_;
};

TEST_F(BlobstoreTest, IsFoundAgain) {
  EXPECT_EQ(store_.type(), "test");
  EXPECT_EQ(store_.cluster_size(), cluster);
  EXPECT_EQ(store_.free_clusters(), store_.total_clusters());
  const auto total = store_.total_clusters();
  reload();
  EXPECT_EQ(store_.type(), "test");
  EXPECT_EQ(store_.total_clusters(), total);
  EXPECT_EQ(store_.free_clusters(), total);
  EXPECT_EQ(store_.free_metadata_pages(), 64U);
  unload();
  EXPECT_EQ(code_of(Blobstore::load(disk_, {.type = "other"})), std::errc::no_such_device_or_address);
}

TEST_F(BlobstoreTest, SaysWhenThereIsNone) {
  const std::string empty = plug_in(std::make_shared<Media>(disk_bytes));
  EXPECT_EQ(code_of(Blobstore::load(empty)), std::errc::illegal_byte_sequence);
  EXPECT_EQ(code_of(Blobstore::load("nowhere")), std::errc::no_such_device);
  EXPECT_EQ(code_of(Blobstore::init(empty, {.cluster_size = 5000})), Misuse::invalid_argument);
  EXPECT_EQ(code_of(Blobstore::init(empty, {.cluster_size = 8 << 20})), Misuse::invalid_argument);
}

TEST_F(BlobstoreTest, ClaimsItsDevice) {
  EXPECT_EQ(code_of(BdevDesc::open(disk_, Access::read_write)), std::errc::operation_not_permitted);
}

TEST_F(BlobstoreTest, ThickBlobHasItsClusters) {
  const auto free = store_.free_clusters();
  const BlobId id = create(store_, 10, false);
  EXPECT_EQ(store_.free_clusters(), free - 10);
  Blob blob = open(id);
  EXPECT_EQ(blob.num_clusters(), 10U);
  EXPECT_FALSE(blob.thin());
  fill(store_, blob, 0, 10 * cluster, 7);
  fill(store_, blob, 3 * cluster - 512, 1024, 9);
  block_on(blob.close());
  reload();
  blob = open(id);
  EXPECT_EQ(content(store_, blob, 3 * cluster - 1024, 512), all(512, 7));
  EXPECT_EQ(content(store_, blob, 3 * cluster - 512, 1024), all(1024, 9));
  EXPECT_EQ(content(store_, blob, 3 * cluster + 512, 7 * cluster - 512), all(7 * cluster - 512, 7));
  block_on(blob.close());
  block_on(store_.remove(id));
  EXPECT_EQ(store_.free_clusters(), free);
  EXPECT_THAT(store_.blobs(), IsEmpty());
  reload();
  EXPECT_EQ(store_.free_clusters(), free);
  EXPECT_EQ(code_of(store_.open(id)), std::errc::no_such_file_or_directory);
}

TEST_F(BlobstoreTest, ThinBlobTakesWhatIsWritten) {
  const auto free = store_.free_clusters();
  const BlobId id = create(store_, 3000, true);
  Blob blob = open(id);
  EXPECT_EQ(store_.free_clusters(), free);
  EXPECT_EQ(content(store_, blob, 2999 * cluster, cluster), all(cluster, 0));
  fill(store_, blob, 5 * cluster + 1024, 512, 3);
  fill(store_, blob, 2999 * cluster - 512, 1024, 4);
  EXPECT_EQ(store_.free_clusters(), free - 3);
  EXPECT_EQ(blob.allocated().value, 3U * cluster);
  EXPECT_EQ(content(store_, blob, 5 * cluster, 1024), all(1024, 0));
  EXPECT_EQ(content(store_, blob, 5 * cluster + 1024, 512), all(512, 3));
  EXPECT_EQ(content(store_, blob, 5 * cluster + 1536, cluster - 1536), all(cluster - 1536, 0));
  EXPECT_EQ(blob.seek_data(ByteOffset{0}), ByteOffset{5 * cluster});
  EXPECT_EQ(blob.seek_data(ByteOffset{6 * cluster}), ByteOffset{2998 * std::uint64_t{cluster}});
  EXPECT_EQ(blob.seek_hole(ByteOffset{5 * cluster + 512}), ByteOffset{6 * cluster});
  EXPECT_EQ(blob.seek_hole(ByteOffset{2998 * std::uint64_t{cluster}}), std::nullopt);
  block_on(blob.close());
  reload();
  blob = open(id);
  EXPECT_EQ(blob.num_clusters(), 3000U);
  EXPECT_EQ(content(store_, blob, 2999 * cluster - 512, 1024), all(1024, 4));
  EXPECT_EQ(store_.free_clusters(), free - 3);
  block_on(blob.close());
}

TEST_F(BlobstoreTest, FreedClustersDoNotLeak) {
  // A cluster that held something else must read as zeros when a thin blob gets it.
  const BlobId first = create(store_, 4, false);
  Blob blob = open(first);
  fill(store_, blob, 0, 4 * cluster, 0x55);
  block_on(blob.close());
  block_on(store_.remove(first));
  blob = open(create(store_, 4, true));
  fill(store_, blob, 512, 512, 1);
  EXPECT_EQ(content(store_, blob, 0, 512), all(512, 0));
  EXPECT_EQ(content(store_, blob, 1024, cluster - 1024), all(cluster - 1024, 0));
  block_on(blob.close());
}

TEST_F(BlobstoreTest, Resizes) {
  const auto free = store_.free_clusters();
  const BlobId id = create(store_, 2, false);
  Blob blob = open(id);
  fill(store_, blob, 0, 2 * cluster, 1);
  block_on(blob.resize(20));
  EXPECT_EQ(store_.free_clusters(), free - 20);
  fill(store_, blob, 2 * cluster, 18 * cluster, 2);
  block_on(blob.resize(5));
  EXPECT_EQ(store_.free_clusters(), free - 5);
  EXPECT_EQ(code_of(blob.resize(10000)), std::errc::no_space_on_device);
  EXPECT_EQ(blob.num_clusters(), 5U);
  block_on(blob.close());
  reload();
  blob = open(id);
  EXPECT_EQ(blob.num_clusters(), 5U);
  EXPECT_EQ(content(store_, blob, 0, 2 * cluster), all(2 * cluster, 1));
  EXPECT_EQ(content(store_, blob, 2 * cluster, 3 * cluster), all(3 * cluster, 2));
  block_on(blob.resize(0));
  EXPECT_EQ(store_.free_clusters(), free);
  block_on(blob.close());
}

TEST_F(BlobstoreTest, RefusesWhatCannotBe) {
  Blob blob = open(create(store_, 2, false));
  BlobChannel channel = store_.io_channel();
  const DmaBuf data{1024};
  EXPECT_EQ(code_of(blob.read(channel, data, ByteOffset{2 * cluster - 512})), Misuse::out_of_range);
  EXPECT_EQ(code_of(blob.read(channel, data, ByteOffset{100})), Misuse::misaligned);
  EXPECT_EQ(code_of(blob.write(channel, data.subspan(0, 100), ByteOffset{0})), Misuse::misaligned);
  EXPECT_EQ(code_of(blob.unmap(channel, {ByteOffset{0}, ByteCount{0}})), Misuse::out_of_range);
  EXPECT_EQ(code_of(store_.unload()), std::errc::device_or_resource_busy);
  block_on(blob.set_read_only());
  EXPECT_EQ(code_of(blob.write(channel, data, ByteOffset{0})), Misuse::read_only);
  EXPECT_EQ(code_of(blob.resize(5)), Misuse::read_only);
  EXPECT_EQ(code_of(store_.remove(blob.id())), std::errc::device_or_resource_busy);
  const BlobId id = blob.id();
  block_on(blob.close());
  EXPECT_THROW(block_on(blob.close()), Error);
  EXPECT_EQ(code_of(store_.unload()), std::errc::device_or_resource_busy) << "the channel";
  channel.close();
  reload();
  EXPECT_TRUE(store_.info(id).read_only);
}

TEST_F(BlobstoreTest, KeepsXattrs) {
  const std::byte value[] = {std::byte{1}, std::byte{0}, std::byte{2}};
  const XattrView first[] = {{.name = "first", .value = value}};
  const BlobId id = block_on(store_.create({.num_clusters = 1, .xattrs = first}));
  Blob blob = open(id);
  for (int i = 0; i < 40; ++i) blob.set_xattr("key" + std::to_string(i), std::string(300, 'a'));
  blob.set_xattr("long", std::string(4000, 'x'));
  EXPECT_THROW(blob.set_xattr("too long", std::string(5000, 'x')), Error);
  blob.remove_xattr("key7");
  EXPECT_THROW(blob.remove_xattr("key7"), Error);
  block_on(blob.sync());
  blob.set_xattr("last", "on close");
  block_on(blob.close());
  reload();
  blob = open(id);
  EXPECT_THAT(blob.xattr_names(), SizeIs(42));
  EXPECT_THAT(blob.xattr("first").value(), ElementsAre(std::byte{1}, std::byte{0}, std::byte{2}));
  EXPECT_THAT(blob.xattr("long").value(), SizeIs(4000));
  EXPECT_EQ(blob.xattr("key7"), std::nullopt);
  EXPECT_THAT(blob.xattr("last").value(), SizeIs(8));
  block_on(blob.close());
  const auto pages = store_.free_metadata_pages();
  EXPECT_LT(pages, 60U);
  block_on(store_.remove(id));
  EXPECT_EQ(store_.free_metadata_pages(), 64U);
}

TEST_F(BlobstoreTest, UnmapGivesClustersBack) {
  const auto free = store_.free_clusters();
  Blob blob = open(create(store_, 100, true));
  fill(store_, blob, 0, 4 * cluster, 6);
  EXPECT_EQ(store_.free_clusters(), free - 4);
  {
    BlobChannel channel = store_.io_channel();
    block_on(blob.unmap(channel, {ByteOffset{512}, ByteCount{3 * cluster}}));
    EXPECT_EQ(store_.free_clusters(), free - 2);
    block_on(blob.write_zeroes(channel, {ByteOffset{0}, ByteCount{100 * cluster}}));
    EXPECT_EQ(store_.free_clusters(), free - 2) << "holes are zeros already";
  }
  EXPECT_EQ(content(store_, blob, 0, 5 * cluster), all(5 * cluster, 0));
  block_on(blob.close());
}

TEST_F(BlobstoreTest, RunsOutOfSpace) {
  Blob blob = open(create(store_, 3000, true));
  const auto free = store_.free_clusters();
  EXPECT_THROW(fill(store_, blob, 0, (free + 1) * cluster, 6), Error);
  EXPECT_GT(store_.free_metadata_pages(), 0U);
  block_on(blob.close());
  reload();
}

TEST_F(BlobstoreTest, RemembersItsSuperBlob) {
  EXPECT_FALSE(store_.super_blob().valid());
  const BlobId id = create(store_, 1, false);
  block_on(store_.set_super_blob(id));
  reload();
  EXPECT_EQ(store_.super_blob(), id);
}

TEST_F(BlobstoreTest, IsRecoveredAfterADirtyEnd) {
  const BlobId id = create(store_, 5, true);
  Blob blob = open(id);
  fill(store_, blob, cluster, cluster, 8);
  const auto copy = std::make_shared<Media>(*media_);
  const auto free = store_.free_clusters();
  block_on(blob.close());
  Blobstore other = block_on(Blobstore::load(plug_in(copy)));
  EXPECT_TRUE(other.recovered());
  EXPECT_EQ(other.free_clusters(), free);
  blob = block_on(other.open(id));
  EXPECT_EQ(content(other, blob, cluster, cluster), all(cluster, 8));
  block_on(blob.close());
  block_on(other.unload());
}

TEST_F(BlobstoreTest, GrowsWithItsDevice) {
  Blob blob = open(create(store_, 3, false));
  block_on(blob.close());
  unload();
  auto larger = std::make_shared<Media>(*media_);
  larger->bytes.resize(2 * disk_bytes);
  const std::string disk = plug_in(larger);
  Blobstore store = block_on(Blobstore::load(disk));
  const auto total = store.total_clusters();
  block_on(store.grow());
  EXPECT_EQ(store.total_clusters(), total + disk_bytes / cluster);
  const BlobId id = create(store, total + 10, false);
  block_on(store.unload());
  store = block_on(Blobstore::load(disk));
  EXPECT_EQ(store.info(id).allocated_clusters, total + 10);
  EXPECT_EQ(store.total_clusters(), total + disk_bytes / cluster);
  block_on(store.unload());
}

TEST_F(BlobstoreTest, IsGoneWhenDestroyed) {
  block_on(store_.destroy());
  store_ = Blobstore{};
  EXPECT_EQ(code_of(Blobstore::load(disk_)), std::errc::illegal_byte_sequence);
}

TEST_F(BlobstoreTest, AWriteErrorOfMetadataChangesNothing) {
  const BlobId id = create(store_, 4, true);
  Blob blob = open(id);
  fill(store_, blob, 0, cluster, 1);
  const auto free = store_.free_clusters();
  const auto pages = store_.free_metadata_pages();
  media_->writes_until_failure = 0;
  EXPECT_THROW(block_on(blob.resize(9)), Error);
  EXPECT_THROW(create(store_, 4, false), Error);
  EXPECT_THROW(fill(store_, blob, 2 * cluster, cluster, 1), Error);
  media_->writes_until_failure = -1;
  EXPECT_EQ(blob.num_clusters(), 4U);
  EXPECT_EQ(store_.free_clusters(), free);
  EXPECT_EQ(store_.free_metadata_pages(), pages);
  fill(store_, blob, 2 * cluster, cluster, 3);
  block_on(blob.resize(9));
  block_on(blob.close());
  reload();
  EXPECT_EQ(store_.info(id).num_clusters, 9U);
}

TEST_F(BlobstoreTest, ErrorsSayWhatTheStoreWasDoing) {
  const auto media = std::make_shared<Media>(disk_bytes);
  const std::string disk = plug_in(media);
  Blobstore store = block_on(Blobstore::init(disk, options));
  const BlobId id = block_on(store.create({.num_clusters = 2, .thin = true}));
  const auto error_of = [](Task<> task) -> Error {
    try {
      block_on(std::move(task));
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "it went well";
    return Error(Misuse::not_started);
  };
  const auto open_and_resize = [&]() -> Task<> {
    Blob blob = co_await store.open(id);
    const auto resized = co_await as_result(blob.resize(3));
    co_await blob.close();
    if (!resized) throw resized.error();
  };
  media->writes_until_failure = 0;
  const Error failed = error_of(open_and_resize());
  media->writes_until_failure = -1;
  EXPECT_EQ(failed.device(), disk);
  EXPECT_EQ(failed.operation(), "write");
  EXPECT_TRUE(failed.range());
  EXPECT_TRUE(failed.nvme_status());
  EXPECT_THAT(failed.context(), ::testing::ElementsAre("blob resize of " + to_string(id) + " on " + disk));
  const Error none = error_of(store.remove(BlobId{0x100000033}));
  EXPECT_THAT(none.report(), ::testing::HasSubstr("\n  while: blob remove of 0x100000033 on " + disk));
  block_on(store.unload());

  for (std::uint64_t block = 0; block < 16; ++block) media->bad_blocks.insert(block);
  const auto load = [](std::string name) -> Task<> { (void)co_await Blobstore::load(name); };
  const Error unreadable = error_of(load(disk));
  EXPECT_THAT(unreadable.context(), ::testing::ElementsAre("reading the super block", "blobstore load on " + disk));
  EXPECT_THAT(unreadable.what(), ::testing::HasSubstr("read on " + disk));
}

TEST_F(BlobstoreTest, MetadataPagesOfAChosenSize) {
  const std::string disk = plug_in(std::make_shared<Media>(disk_bytes));
  StoreOptions wanted = options;
  for (const std::uint32_t bad : {5000U, 131072U}) {
    wanted.md_page_size = bad;
    EXPECT_EQ(code_of(Blobstore::init(disk, wanted)), Misuse::invalid_argument);
  }
  wanted.md_page_size = 8192;
  Blobstore store = block_on(Blobstore::init(disk, wanted));
  const BlobId id = block_on(store.create({.num_clusters = 2, .thin = true}));
  Blob blob = block_on(store.open(id));
  fill(store, blob, cluster, 512, 3);
  block_on(blob.close());
  EXPECT_EQ(store.store()->layout().page_size, 8192U);
  block_on(store.unload());
  store = block_on(Blobstore::load(disk, {.recover = true}));
  blob = block_on(store.open(id));
  EXPECT_EQ(content(store, blob, cluster, 512), all(512, 3));
  block_on(blob.close());
  block_on(store.unload());
}

}  // namespace
}  // namespace spdkio::blob::test
