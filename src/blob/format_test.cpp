// The structures of the disk: where every field lies, and that what is written is read again.
#include <spdkio/base/crc32c.hpp>
#include <spdkio/blob/blob_id.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "blob/bitmap.hpp"
#include "blob/cluster_map.hpp"
#include "blob/format/blob_metadata.hpp"
#include "blob/format/redo.hpp"

namespace spdkio::blob {
namespace {

using namespace format;
using ::testing::ElementsAre;
using ::testing::SizeIs;

std::uint64_t at(const void* page, std::size_t offset, std::size_t bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, static_cast<const std::byte*>(page) + offset, bytes);
  return value;
}

TEST(SuperBlockTest, LiesAsSpdkHasIt) {
  // A store of 64 MiB with clusters of 1 MiB, as SPDK lays it out.
  const auto made = make_super_block({.device_bytes = 64 << 20, .cluster_size = 1 << 20, .type = "LVOLSTORE"});
  ASSERT_TRUE(made) << made.error();
  const SuperBlock& super = *made;
  EXPECT_EQ(std::memcmp(&super, "SPDKBLOB", 8), 0);
  EXPECT_EQ(at(&super, 8, 4), 3U);
  EXPECT_EQ(at(&super, 12, 4), 4096U);
  EXPECT_EQ(at(&super, 16, 4), 0U);
  EXPECT_EQ(at(&super, 20, 8), ~std::uint64_t{0});
  EXPECT_EQ(at(&super, 28, 4), 1U << 20);
  EXPECT_EQ(at(&super, 32, 4), 1U);
  EXPECT_EQ(at(&super, 36, 4), 1U);
  EXPECT_EQ(at(&super, 40, 4), 2U);
  EXPECT_EQ(at(&super, 44, 4), 1U);
  EXPECT_EQ(at(&super, 48, 4), 4U);
  EXPECT_EQ(at(&super, 52, 4), 64U);
  EXPECT_EQ(std::memcmp(reinterpret_cast<const char*>(&super) + 56, "LVOLSTORE\0\0\0\0\0\0\0", 16), 0);
  EXPECT_EQ(at(&super, 72, 4), 3U);
  EXPECT_EQ(at(&super, 76, 4), 1U);
  EXPECT_EQ(at(&super, 80, 8), std::uint64_t{64} << 20);
  EXPECT_EQ(at(&super, 4092, 4), crc32c(std::as_bytes(std::span(&super, 1)).first(4092)));
  const Layout layout(super);
  EXPECT_EQ(layout.total_clusters, 64U);
  EXPECT_EQ(layout.metadata_clusters, 1U);
}

TEST(SuperBlockTest, ATornCleanFlagIsMended) {
  SuperBlock super = *make_super_block({.device_bytes = 64 << 20, .cluster_size = 1 << 20, .type = ""});
  SuperBlock clean = super;
  clean.clean = 1;
  seal(clean);
  // The first block of one, the last of the other.
  SuperBlock torn = clean;
  torn.crc = super.crc;
  EXPECT_FALSE(crc_holds(torn));
  ASSERT_TRUE(mend_torn_clean_flag(torn));
  EXPECT_EQ(torn.clean, 0U);
  EXPECT_TRUE(crc_holds(torn));
  torn = super;
  torn.crc = clean.crc;
  EXPECT_TRUE(mend_torn_clean_flag(torn));
  EXPECT_EQ(torn.clean, 0U);
  torn = super;
  torn.md_len = 65;
  EXPECT_FALSE(mend_torn_clean_flag(torn));
}

BlobMetadata read(std::span<const MetadataPage> chain, const Limits& limits) {
  MetadataReader reader(limits);
  for (const MetadataPage& page : chain) {
    const auto added = reader.add_page(page);
    EXPECT_TRUE(added) << added.error();
  }
  auto metadata = std::move(reader).finish(chain[0].id);
  EXPECT_TRUE(metadata) << metadata.error();
  return metadata.value_or(BlobMetadata{});
}

TEST(BlobMetadataTest, WhatIsWrittenIsRead) {
  const Limits limits{10000, 100000, 10};
  for (const bool table : {true, false}) {
    BlobMetadata blob;
    blob.id = root_id(7);
    blob.flags.invalid = flag::thin | (table ? flag::extent_table : 0);
    blob.extent_table = table;
    for (int i = 0; i < 20; ++i) blob.xattrs["name" + std::to_string(i)] = std::vector<std::byte>(500, std::byte{1});
    blob.set_internal_id(internal_name::parent, root_id(3));
    if (table) {
      blob.num_clusters = 3000 * 512 - 5;
      for (std::uint32_t i = 0; i < 1500; ++i) {
        blob.table.push_back({.page = i + 1, .count = 1});
        blob.table.push_back({.page = 0, .count = 1});
      }
    } else {
      blob.num_clusters = 4000;
      for (std::uint32_t i = 0; i < 2000; ++i) blob.runs.push_back({.cluster = i % 2 * (i + 10), .count = 2});
    }
    auto chain = write_chain(blob);
    EXPECT_GT(chain.size(), 5U);
    std::vector<std::uint32_t> numbers(chain.size());
    std::iota(numbers.begin(), numbers.end(), 7U);
    link(chain, numbers);
    EXPECT_EQ(chain[0].next, 8U);
    EXPECT_EQ(chain.back().next, no_page);
    EXPECT_TRUE(chain[2].crc_holds());
    EXPECT_EQ(chain[2].sequence, 2U);
    const BlobMetadata again = read(chain, limits);
    EXPECT_EQ(again.num_clusters, blob.num_clusters);
    EXPECT_EQ(again.xattrs, blob.xattrs);
    EXPECT_EQ(again.internal_id(internal_name::parent), root_id(3));
    EXPECT_EQ(again.extent_table, table);
    EXPECT_EQ(again.table.size(), blob.table.size());
    EXPECT_EQ(again.runs.size(), blob.runs.size());
    EXPECT_TRUE(again.thin());
  }
}

TEST(BlobMetadataTest, AnEmptyBlobHasAnExtentTable) {
  BlobMetadata blob;
  blob.id = root_id(0);
  blob.flags.invalid = flag::extent_table;
  blob.extent_table = true;
  const auto chain = write_chain(blob);
  ASSERT_THAT(chain, SizeIs(1));
  // flags: 5 + 24 bytes; extent table: 5 + 8
  EXPECT_EQ(at(chain[0].descriptors.data(), 0, 1), 3U);
  EXPECT_EQ(at(chain[0].descriptors.data(), 1, 4), 24U);
  EXPECT_EQ(at(chain[0].descriptors.data(), 29, 1), 5U);
  EXPECT_EQ(at(chain[0].descriptors.data(), 30, 4), 8U);
  EXPECT_EQ(read(chain, {10, 10, 1}).num_clusters, 0U);
}

TEST(BlobMetadataTest, ExtentPages) {
  const Limits limits{10, 1000, 5};
  const std::uint32_t clusters[] = {5, 0, 999};
  MetadataPage page;
  write_extent_page(page, root_id(1), 512, clusters);
  EXPECT_THAT(read_extent_page(page, 512, limits).value(), ElementsAre(5U, 0U, 999U));
  EXPECT_FALSE(read_extent_page(page, 0, limits));
  EXPECT_FALSE(read_extent_page(page, 512, Limits{10, 999, 5})) << "beyond the store";
  EXPECT_FALSE(read_extent_page(page, 512, Limits{10, 1000, 6})) << "in the metadata";
  page.descriptors[20] ^= std::byte{1};
  EXPECT_FALSE(read_extent_page(page, 512, limits)) << "checksum";
}

TEST(RedoTest, RestoresWhatWasTorn) {
  MetadataPage before, after;
  before.id = after.id = root_id(4);
  before.next = 1;
  after.next = 2;
  before.seal();
  after.seal();
  const MetadataPage redo = make_redo_page(4, after, false);
  EXPECT_TRUE(is_redo_page(redo, 5));
  EXPECT_FALSE(is_redo_page(redo, 4));
  EXPECT_FALSE(is_redo_page(after, 5));
  EXPECT_EQ(redone(redo, before), std::nullopt);
  EXPECT_EQ(redone(redo, after), std::nullopt);
  EXPECT_EQ(redone(redo, MetadataPage{}), std::nullopt);
  MetadataPage torn = after;
  torn.crc = before.crc;
  const auto whole = redone(redo, torn);
  ASSERT_TRUE(whole);
  EXPECT_EQ(std::memcmp(&*whole, &after, sizeof(after)), 0);
  ASSERT_TRUE(redone(make_redo_page(4, before, true), torn));
  EXPECT_TRUE(redone(make_redo_page(4, before, true), torn)->all_zero());
}

TEST(RedoTest, KeepsTheSuperBlock) {
  const SuperBlock super = *make_super_block({.device_bytes = 64 << 20, .cluster_size = 1 << 20, .type = "x"});
  RedoHeader header = make_redo_header(256, super);
  EXPECT_TRUE(is_valid(header));
  const SuperBlock kept = super_of(header);
  EXPECT_EQ(std::memcmp(&kept, &super, sizeof(super)), 0);
  header.high_water = 257;
  EXPECT_FALSE(is_valid(header));
}

TEST(BitmapTest, GivesTheLowestFirst) {
  Bitmap bitmap(130);
  for (std::uint32_t i = 0; i < 130; ++i) EXPECT_EQ(bitmap.take_lowest(), i);
  EXPECT_EQ(bitmap.take_lowest(), std::nullopt);
  EXPECT_EQ(bitmap.free(), 0U);
  bitmap.release(64);
  bitmap.release(3);
  EXPECT_FALSE(bitmap.take(2));
  EXPECT_EQ(bitmap.take_lowest(), 3U);
  EXPECT_EQ(bitmap.take_lowest(), 64U);
  bitmap.resize(200);
  EXPECT_EQ(bitmap.free(), 70U);
  EXPECT_EQ(bitmap.take_lowest(), 130U);
  EXPECT_EQ(bitmap.next_used(130), 130U);
  EXPECT_EQ(bitmap.next_used(131), std::nullopt);
}

TEST(ClusterMapTest, HoldsWhatIsSparse) {
  ClusterMap map;
  map.set_size(std::uint64_t{1} << 32);
  const std::uint64_t indices[] = {0, 511, 512, 262143, 262144, (std::uint64_t{1} << 32) - 1};
  for (const std::uint64_t index : indices) {
    EXPECT_EQ(map.find(index), 0U);
    map.set(index, 9);
    EXPECT_EQ(map.find(index), 9U);
  }
  EXPECT_EQ(map.allocated(), 6U);
  EXPECT_EQ(map.next_allocated(1, map.size()), 511U);
  EXPECT_EQ(map.next_allocated(262145, map.size()), (std::uint64_t{1} << 32) - 1);
  EXPECT_EQ(map.next_allocated(262145, 999999), 999999U);
  std::vector<std::uint64_t> seen;
  map.for_each_allocated(1, map.size(), [&](std::uint64_t index, std::uint32_t) { seen.push_back(index); });
  EXPECT_THAT(seen, ElementsAre(511, 512, 262143, 262144, (std::uint64_t{1} << 32) - 1));
  map.set(512, 0);
  map.set(700, 0);
  EXPECT_EQ(map.allocated(), 5U);
}

TEST(BlobIdTest, PrintsAndParses) {
  EXPECT_EQ(to_string(BlobId{root_id(3)}), "0x100000003");
  EXPECT_EQ(parse_blob_id("0x100000003"), BlobId{root_id(3)});
  EXPECT_EQ(parse_blob_id("4294967299"), BlobId{root_id(3)});
  EXPECT_EQ(to_string(BlobId{}), "none");
  for (const char* text : {"", "0x", "x", "12x", "-1", "0x1ffffffffffffffff"}) {
    EXPECT_EQ(parse_blob_id(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace spdkio::blob
