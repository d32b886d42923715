// Logical volumes that go from SPDK to this library and back, from recorded images; exchange/README.md says how they
// were made.
#include <spdkio/bdev/bdev.hpp>

#include <nlohmann/json.hpp>

#include "blob/test_disk.hpp"
#include "lvol/lvol_stores.hpp"
#include "test_image.hpp"

namespace spdkio::lvol {
namespace {

using blob::test::Media;
using blob::test::read_image;
using blob::test::StoreTest;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;
constexpr std::uint64_t cluster_bytes = 65536;

class LvolExchangeTest : public StoreTest {
 protected:
  void SetUp() override { stores_.start(); }
  void TearDown() override {
    block_on(stores_.stop());
    StoreTest::TearDown();
  }
  /// What the external snapshot of `esnap` is: in SPDK's process it had this UUID, and was filled with 0x55.
  void plug_in_external() {
    const auto media = std::make_shared<Media>(mib);
    std::ranges::fill(media->bytes, std::byte{0x55});
    const Uuid uuid = Uuid::parse("6b2bd1c8-3b39-4b1e-9b6a-8b2f6c2f5a01");
    block_on(engine_.bdevs().register_device(std::make_unique<blob::test::TestDisk>("ext", media, uuid)));
  }
  std::shared_ptr<LvolStore> load(const std::string& name) {
    media_ = std::make_shared<Media>(0);
    media_->bytes = read_image(SPDKIO_EXCHANGE_DIR "/" + name);
    base_ = plug_in(media_);
    const auto stores = stores_.all();
    if (stores.size() != 1) throw std::runtime_error("no store was found in " + name);
    EXPECT_FALSE(stores.front()->blobs().recovered());
    EXPECT_THAT(stores.front()->blobs().damaged(), IsEmpty());
    return stores.front();
  }
  static Task<std::vector<std::byte>> read_all(std::string device) {
    BdevDesc desc = co_await BdevDesc::open(device);
    IoChannel channel = desc.io_channel();
    const DmaBuf data{static_cast<std::size_t>(desc.size().value)};
    co_await desc.read(channel, data, ByteOffset{0});
    channel.close();
    co_await desc.close();
    co_return std::vector<std::byte>(data.bytes().begin(), data.bytes().end());
  }
  struct Part {
    std::uint64_t from, bytes;
    std::uint8_t value;
  };
  /// `parts` over zeros.
  static void expect_content(const std::string& device, std::uint8_t ground, std::initializer_list<Part> parts) {
    std::vector<std::byte> wanted(mib, std::byte{ground});
    for (const Part& part : parts) {
      const auto from = wanted.begin() + static_cast<std::ptrdiff_t>(part.from);
      std::fill_n(from, part.bytes, std::byte{part.value});
    }
    EXPECT_TRUE(block_on(read_all(device)) == wanted) << device;
  }
  static nlohmann::ordered_json shown(const std::string& device) {
    return Bdev::find(device)->state()->driver_specific()["lvol"];
  }

  LvolStores stores_;
  std::shared_ptr<Media> media_;
  std::string base_;
};

TEST_F(LvolExchangeTest, MadeBySpdk) {
  plug_in_external();
  auto store = load("lvols_made_by_spdk.image");
  EXPECT_EQ(store->name(), "lvs");
  EXPECT_EQ(store->uuid(), Uuid::parse("edc217f5-58d8-49fd-9e86-176ca541e7ea"));
  EXPECT_THAT(store->lvols(), SizeIs(6));
  const std::pair<const char*, const char*> uuids[] = {
      {"lvs/thin", "a498d46e-a102-4ac6-a2fb-ce977aa05480"},    {"lvs/thick", "fc5eea88-5fe8-4384-995e-6d0d132bc9c8"},
      {"lvs/renamed", "b443c3f0-5774-4348-a501-eb552a058088"}, {"lvs/snap", "e12a468e-aa96-4e02-86b7-a2b40b46b118"},
      {"lvs/clone", "8fcb5446-e332-4b24-8ad4-4f867a3ed6d4"},   {"lvs/esnap", "855fdb5a-12c9-4219-98ca-5411939daece"}};
  for (const auto& [name, uuid] : uuids) {
    const auto bdev = Bdev::find(name);
    ASSERT_TRUE(bdev) << name;
    EXPECT_EQ(bdev->uuid(), Uuid::parse(uuid)) << name;
    EXPECT_EQ(bdev->name(), uuid);
    EXPECT_EQ(bdev->size().value, mib) << name;
  }
  EXPECT_EQ(shown("lvs/thin")["base_snapshot"], "snap");
  EXPECT_EQ(shown("lvs/thin")["num_allocated_clusters"], 0);
  EXPECT_EQ(shown("lvs/clone")["base_snapshot"], "snap");
  EXPECT_EQ(shown("lvs/clone")["num_allocated_clusters"], 1);
  EXPECT_THAT(shown("lvs/snap")["clones"], SizeIs(2));
  EXPECT_EQ(shown("lvs/thick")["thin_provision"], false);
  EXPECT_EQ(shown("lvs/thick")["num_allocated_clusters"], 16);
  EXPECT_EQ(shown("lvs/esnap")["external_snapshot_name"], "6b2bd1c8-3b39-4b1e-9b6a-8b2f6c2f5a01");

  const Part first{cluster_bytes, cluster_bytes, 0x11};
  const Part second{2 * cluster_bytes, 512, 0x12};
  expect_content("lvs/thin", 0, {first, second});
  expect_content("lvs/snap", 0, {first, second});
  expect_content("lvs/clone", 0, {first, second, {cluster_bytes + 512, 512, 0x31}});
  expect_content("lvs/thick", 0x21, {});
  expect_content("lvs/renamed", 0, {});
  expect_content("lvs/esnap", 0x55, {{512, 512, 0x41}});

  // Changed here, and found again.
  block_on(store->rename_lvol(stores_.find_lvol("lvs/thin").second, "other"));
  block_on(store->remove(stores_.find_lvol("lvs/renamed").second));
  block_on(store->inflate(stores_.find_lvol("lvs/clone").second, false));
  store.reset();
  block_on(stores_.stop());
  unplug(base_);
  stores_.start();
  base_ = plug_in(media_);
  EXPECT_THAT(stores_.find_by_name("lvs")->lvols(), SizeIs(5));
  expect_content("lvs/other", 0, {first, second});
  expect_content("lvs/clone", 0, {first, second, {cluster_bytes + 512, 512, 0x31}});
  EXPECT_EQ(shown("lvs/clone")["clone"], false);
}

TEST_F(LvolExchangeTest, MadeHereAndChangedBySpdk) {
  const auto store = load("lvols_made_here_changed_by_spdk.image");
  EXPECT_EQ(store->name(), "lvs2");
  EXPECT_THAT(store->lvols(), SizeIs(7));
  const Part first{0, cluster_bytes, 0x11};
  const Part second{cluster_bytes, 512, 0x12};
  for (const char* name : {"lvs2/thin", "lvs2/snap", "lvs2/spdk_clone", "lvs2/spdk_snap"}) {
    ASSERT_TRUE(Bdev::find(name)) << name;
    expect_content(name, 0, {first, second});
  }
  expect_content("lvs2/thick", 0, {{0, 4096, 0x21}});
  expect_content("lvs2/spdk_vol", 0, {});
  expect_content("lvs2/esnap", 0x55, {});  // inflated here
  EXPECT_TRUE(Bdev::find("lvs2/esnap")->state()->geometry().read_only);
  EXPECT_EQ(shown("lvs2/thin")["base_snapshot"], "spdk_snap");
  EXPECT_EQ(shown("lvs2/spdk_snap")["base_snapshot"], "snap");
  EXPECT_EQ(shown("lvs2/spdk_clone")["base_snapshot"], "snap");
  EXPECT_FALSE(Bdev::find("lvs2/renamed")) << "SPDK has deleted it";
}

}  // namespace
}  // namespace spdkio::lvol
