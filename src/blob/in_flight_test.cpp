// What is worked on at the same time: the segments of one operation, and the metadata of a recovery.
#include <spdkio/blob/blobstore.hpp>

#include "blob/test_disk.hpp"

namespace spdkio::blob::test {
namespace {

class InFlightTest : public StoreTest {};

TEST_F(InFlightTest, SegmentsOfOneOperation) {
  const auto media = std::make_shared<Media>(disk_bytes);
  Blobstore store = block_on(Blobstore::init(plug_in(media), options));
  const BlobId id = create(store, 16, true);
  Blob blob = block_on(store.open(id));
  // From the end to the start: no two clusters lie in a row.
  for (std::uint64_t i = 16; i-- > 0;) {
    fill(store, blob, i * cluster, cluster, static_cast<std::uint8_t>(i + 1));
  }
  media->slow = true;
  const auto check = [&](std::uint8_t add) {
    const auto found = content(store, blob, 512, 16 * cluster - 1024);
    for (std::size_t at = 0; at < found.size(); ++at) {
      ASSERT_EQ(found[at], std::byte((at + 512) / cluster + add)) << "at " << at;
    }
  };
  media->most_in_flight = 0;
  check(1);
  EXPECT_GE(media->most_in_flight, 4U);
  BlobChannel channel = store.io_channel();
  DmaBuf data{16 * cluster};
  for (std::size_t at = 0; at < data.size(); ++at) data.bytes()[at] = static_cast<std::byte>(at / cluster + 101);
  media->most_in_flight = 0;
  block_on(blob.write(channel, data, ByteOffset{0}));
  EXPECT_GE(media->most_in_flight, 4U);
  check(101);
  channel.close();
  media->slow = false;
  block_on(blob.close());
  block_on(store.unload());
}

TEST_F(InFlightTest, ListsOfPiecesAreCutAtSegments) {
  Blobstore store = block_on(Blobstore::init(plug_in(std::make_shared<Media>(disk_bytes)), options));
  Blob blob = block_on(store.open(create(store, 8, true)));
  for (std::uint64_t i = 8; i-- > 0;) fill(store, blob, i * cluster, cluster, 1);
  BlobChannel channel = store.io_channel();
  DmaBuf data{5 * cluster};
  std::mt19937 random(7);
  for (std::byte& byte : data.bytes()) byte = static_cast<std::byte>(random());
  // Pieces that end nowhere near a block.
  std::vector<DmaSpan> pieces;
  for (std::size_t at = 0; at < data.size();) {
    const std::size_t size = std::min<std::size_t>(data.size() - at, 1 + random() % 9000);
    pieces.push_back(data.subspan(at, size));
    at += size;
  }
  block_on(blob.write(channel, pieces, ByteOffset{cluster / 2}));
  channel.close();
  const auto found = content(store, blob, cluster / 2, data.size());
  EXPECT_EQ(std::memcmp(found.data(), data.data(), data.size()), 0);
  EXPECT_EQ(content(store, blob, 0, cluster / 2), all(cluster / 2, 1));
  block_on(blob.close());
  block_on(store.unload());
}

/// How many metadata pages there are does not matter, how many are in use does.
TEST_F(InFlightTest, RecoveryReadsWhatIsInUse) {
  const auto reads_to_recover = [&](std::uint32_t metadata_pages, int blobs) {
    const auto media = std::make_shared<Media>(std::size_t{32} << 20);
    const std::string disk = plug_in(media);
    Blobstore store = block_on(Blobstore::init(
        disk, {.cluster_size = cluster, .metadata_pages = metadata_pages, .clear_method = ClearMethod::none}));
    for (int i = 0; i < blobs; ++i) create(store, 1, false);
    const auto copy = std::make_shared<Media>(media->bytes.size());
    copy->bytes = media->bytes;  // without an unload
    block_on(store.unload());
    copy->slow = true;
    Blobstore recovered = block_on(Blobstore::load(plug_in(copy)));
    EXPECT_TRUE(recovered.recovered());
    EXPECT_EQ(recovered.blobs().size(), static_cast<std::size_t>(blobs));
    const std::uint64_t reads = copy->reads;
    if (blobs >= 200) EXPECT_GE(copy->most_in_flight, 16U);
    const std::string what = std::to_string(blobs) + "_blobs_of_" + std::to_string(metadata_pages) + "_pages";
    RecordProperty("reads_for_" + what, std::to_string(reads));
    RecordProperty("in_flight_for_" + what, std::to_string(copy->most_in_flight));
    copy->slow = false;
    block_on(recovered.unload());
    return reads;
  };
  const auto few = reads_to_recover(1024, 10);
  EXPECT_EQ(reads_to_recover(4096, 10), few);
  EXPECT_LT(few, 60U);
  const auto many = reads_to_recover(4096, 200);
  EXPECT_GT(many, few);
  EXPECT_LT(reads_to_recover(4096, 1000), 1000U * 3 + 60U);
  EXPECT_LT(many, 200U * 3 + 60U);
}

TEST_F(InFlightTest, ExtentsOfOneBlobAreReadTogether) {
  const auto media = std::make_shared<Media>(std::size_t{1} << 20);
  const std::string disk = plug_in(media);
  Blobstore store =
      block_on(Blobstore::init(disk, {.cluster_size = 8192, .metadata_pages = 64, .clear_method = ClearMethod::none}));
  const BlobId id = create(store, 20 * 512, true);
  Blob blob = block_on(store.open(id));
  for (std::uint64_t extent = 0; extent < 20; ++extent) fill(store, blob, extent * 512 * 8192, 512, 1);
  block_on(blob.close());
  block_on(store.unload());
  media->slow = true;
  media->most_in_flight = 0;
  store = block_on(Blobstore::load(disk));
  EXPECT_GE(media->most_in_flight, 8U);
  media->slow = false;
  EXPECT_EQ(store.info(id).allocated_clusters, 20U);
  block_on(store.unload());
}

}  // namespace
}  // namespace spdkio::blob::test
