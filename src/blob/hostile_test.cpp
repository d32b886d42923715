// Metadata that a disk has spoiled, or somebody has made up: it is refused or reported, and nothing else happens.
#include <spdkio/base/log.hpp>
#include <spdkio/blob/blobstore.hpp>

#include "blob/format/blob_metadata.hpp"
#include "blob/test_disk.hpp"

namespace spdkio::blob::test {
namespace {

using format::MetadataPage;
using format::SuperBlock;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class HostileTest : public StoreTest {
 protected:
  static constexpr std::size_t size = 1 << 20;
  static constexpr std::uint32_t page = 4096;

  void SetUp() override {
    log::set_level(log::Level::critical);
    media_ = std::make_shared<Media>(size);
    const std::string disk = plug_in(media_);
    Blobstore store = block_on(Blobstore::init(disk, {.cluster_size = 8192, .metadata_pages = 40}));
    thick_ = create(store, 5, false);
    thin_ = create(store, 1500, true);
    Blob blob = block_on(store.open(thin_));
    for (int i = 0; i < 30; ++i) blob.set_xattr("name" + std::to_string(i), std::string(250, 'v'));
    fill(store, blob, 8192 * 600, 8192, 1);
    fill(store, blob, 0, 8192, 2);
    block_on(blob.close());
    snapshot_ = block_on(store.snapshot(thin_));
    clone_ = block_on(store.clone(snapshot_));
    block_on(store.unload());
    SuperBlock super;
    std::memcpy(static_cast<void*>(&super), media_->bytes.data(), sizeof(super));
    md_start_ = super.md_start;
  }
  void TearDown() override {
    log::set_level(log::Level::info);
    StoreTest::TearDown();
  }

  static MetadataPage load_page(const Media& media, std::uint64_t number) {
    MetadataPage page_content;
    std::memcpy(static_cast<void*>(&page_content), media.bytes.data() + number * page, page);
    return page_content;
  }
  static void store_page(Media& media, std::uint64_t number, MetadataPage content) {
    content.seal();  // the checksum of a super block is in the same place
    std::memcpy(media.bytes.data() + number * page, &content, page);
  }
  std::shared_ptr<Media> copy() const { return std::make_shared<Media>(*media_); }
  std::uint64_t root(BlobId id) const { return md_start_ + static_cast<std::uint32_t>(id.value); }

  /// Loads it and uses whatever can be used.
  void exercise(const std::shared_ptr<Media>& media, bool recover) {
    const std::string disk = plug_in(media);
    try {
      Blobstore store = block_on(Blobstore::load(disk, {.recover = recover}));
      for (const DamagedBlob& damaged : store.damaged()) {
        EXPECT_THAT(damaged.reason, Not(IsEmpty()));
        EXPECT_EQ(code_of(store.open(damaged.id)), std::errc::illegal_byte_sequence);
      }
      for (const BlobId id : store.blobs()) {
        Blob blob = block_on(store.open(id));
        if (blob.num_clusters() != 0) {
          content(store, blob, 0, 512);
          content(store, blob, blob.size().value - 512, 512);
          (void)blob.seek_data(ByteOffset{0});
        }
        try {
          if (blob.num_clusters() != 0) fill(store, blob, 0, 512, 1);
          block_on(blob.resize(3));
        } catch (const Error&) {
        }
        block_on(blob.close());
      }
      block_on(store.unload());
    } catch (const Error& error) {
      EXPECT_FALSE(std::string_view(error.what()).empty());
    }
    unplug(disk);
  }

  std::shared_ptr<Media> media_;
  std::uint32_t md_start_ = 0;
  BlobId thick_, thin_, snapshot_, clone_;
};

TEST_F(HostileTest, OneDamagedBlobLeavesTheOthers) {
  const auto media = copy();
  media->bytes[root(thick_) * page + 300] ^= std::byte{0xFF};
  const std::string disk = plug_in(media);
  for (const bool recover : {false, true}) {
    Blobstore store = block_on(Blobstore::load(disk, {.recover = recover}));
    ASSERT_THAT(store.damaged(), SizeIs(1));
    EXPECT_EQ(store.damaged()[0].id, thick_);
    EXPECT_THAT(store.damaged()[0].reason, HasSubstr("checksum"));
    EXPECT_EQ(code_of(store.open(thick_)), std::errc::illegal_byte_sequence);
    EXPECT_THAT(store.blobs(), ::testing::UnorderedElementsAre(thin_, snapshot_, clone_));
    Blob blob = block_on(store.open(clone_));
    EXPECT_EQ(content(store, blob, 0, 8192), all(8192, 2));
    block_on(blob.close());
    block_on(store.unload());
  }
  Blobstore store = block_on(Blobstore::load(disk));
  block_on(store.remove(thick_));
  EXPECT_THAT(store.damaged(), IsEmpty());
  block_on(store.unload());
  store = block_on(Blobstore::load(disk));
  EXPECT_THAT(store.damaged(), IsEmpty());
  EXPECT_THAT(store.blobs(), SizeIs(3));
  block_on(store.unload());
}

TEST_F(HostileTest, WhatNeedsADamagedBlobIsDamagedToo) {
  const auto media = copy();
  for (std::uint64_t block = 0; block < 8; ++block) media->bad_blocks.insert(root(snapshot_) * 8 + block);
  const std::string disk = plug_in(media);
  Blobstore store = block_on(Blobstore::load(disk));
  EXPECT_THAT(store.damaged(), SizeIs(3));
  EXPECT_THAT(store.blobs(), ::testing::ElementsAre(thick_));
  block_on(store.unload());
}

TEST_F(HostileTest, TwoBlobsWithOneClusterAreToldApart) {
  const auto media = copy();
  // A second root that says what the first one says.
  MetadataPage twin = load_page(*media, root(thick_));
  twin.id = format::root_id(30);
  store_page(*media, md_start_ + 30, twin);
  const std::string disk = plug_in(media);
  Blobstore store = block_on(Blobstore::load(disk, {.recover = true}));
  ASSERT_THAT(store.damaged(), SizeIs(1));
  EXPECT_EQ(store.damaged()[0].id, BlobId{format::root_id(30)});
  EXPECT_THAT(store.damaged()[0].reason, HasSubstr("another blob"));
  block_on(store.unload());
}

TEST_F(HostileTest, ChainsThatLoopEnd) {
  const auto media = copy();
  MetadataPage content = load_page(*media, root(thin_));
  content.next = static_cast<std::uint32_t>(thin_.value);
  store_page(*media, root(thin_), content);
  exercise(media, true);
  // A snapshot that is its own parent.
  const auto other = copy();
  format::MetadataReader reader({40, 128, 20});
  content = load_page(*other, root(clone_));
  ASSERT_TRUE(reader.add_page(content));
  auto metadata = std::move(reader).finish(clone_.value);
  ASSERT_TRUE(metadata);
  metadata->set_internal_id(format::internal_name::parent, clone_.value);
  auto chain = format::write_chain(*metadata);
  ASSERT_THAT(chain, SizeIs(1));
  store_page(*other, root(clone_), chain[0]);
  const std::string disk = plug_in(other);
  Blobstore store = block_on(Blobstore::load(disk));
  ASSERT_THAT(store.damaged(), SizeIs(1));
  EXPECT_THAT(store.damaged()[0].reason, HasSubstr("itself"));
  block_on(store.unload());
}

TEST_F(HostileTest, AnyByteOfTheMetadataMayBeAnything) {
  std::mt19937_64 random{20261122};
  for (int round = 0; round < 1500; ++round) {
    const auto media = copy();
    // Numbers that mean something more often than not, with checksums that hold.
    const std::uint64_t pages = md_start_ + 14;
    for (std::uint64_t changes = 1 + random() % 4; changes != 0; --changes) {
      const std::uint64_t number = random() % 3 == 0 ? random() % md_start_ : md_start_ + random() % 14;
      ASSERT_LT(number, pages);
      MetadataPage content = load_page(*media, number);
      auto* bytes = reinterpret_cast<std::byte*>(&content);
      const std::size_t at = random() % 4 == 0 ? random() % (page - 8) : random() % 160;
      const std::uint64_t values[] = {
          0, 1, 2, 0xFF, 0xFFFFFFFF, ~std::uint64_t{0}, 0x7FFFFFFF, random(), random() % 64};
      const std::uint64_t value = values[random() % std::size(values)];
      std::memcpy(bytes + at, &value, std::size_t{1} << random() % 4);
      if (random() % 8 == 0) content.next = static_cast<std::uint32_t>(random() % 44);
      store_page(*media, number, content);
    }
    exercise(media, random() % 2 == 0);
  }
}

TEST_F(HostileTest, ASuperBlockThatMakesNoSenseIsRefused) {
  const auto refused = [&](auto change) {
    SuperBlock super;
    std::memcpy(static_cast<void*>(&super), media_->bytes.data(), sizeof(super));
    change(super);
    return !format::check_and_complete(super, size);
  };
  EXPECT_FALSE(refused([](SuperBlock&) {}));
  EXPECT_TRUE(refused([](SuperBlock& super) { super.signature[0] = 'X'; }));
  EXPECT_TRUE(refused([](SuperBlock& super) { super.version = 0; }));
  EXPECT_TRUE(refused([](SuperBlock& super) { super.version = 4; }));
  EXPECT_TRUE(refused([](SuperBlock& super) { super.cluster_size = 0; }));
  EXPECT_TRUE(refused([](SuperBlock& super) { super.cluster_size = 5000; }));
  EXPECT_TRUE(refused([](SuperBlock& super) { super.md_page_size = 4095; }));
  EXPECT_TRUE(refused([](SuperBlock& super) { super.size = size + 1; }));
  EXPECT_TRUE(refused([](SuperBlock& super) { super.md_len = 0; }));
  EXPECT_TRUE(refused([](SuperBlock& super) { super.md_len = ~0U; }));
  EXPECT_TRUE(refused([](SuperBlock& super) { super.md_start = 1; }));
  EXPECT_TRUE(refused([](SuperBlock& super) { super.used_page_mask_start = 0; }));
  EXPECT_TRUE(refused([](SuperBlock& super) { super.used_cluster_mask_len = 0; }));
  EXPECT_TRUE(refused([](SuperBlock& super) { super.used_cluster_mask_start = 1; }));
}

}  // namespace
}  // namespace spdkio::blob::test
