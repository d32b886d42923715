// Logical volumes as block devices, on disks in memory.
#include <spdkio/bdev/bdev.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <nlohmann/json.hpp>

#include "blob/test_disk.hpp"
#include "lvol/lvol_stores.hpp"

namespace spdkio::lvol {
namespace {

using blob::test::Media;
using blob::test::StoreTest;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint64_t lvol_bytes = 128 * 1024;

class LvolTest : public StoreTest {
 protected:
  void SetUp() override { stores_.start(); }
  void TearDown() override {
    block_on(stores_.stop());
    StoreTest::TearDown();
  }
  std::shared_ptr<LvolStore> make_store(const std::string& base, const std::string& name = "lvs") {
    LvolStore::Options options;
    options.name = name;
    options.cluster_size = cluster;
    return block_on(stores_.create(base, options));
  }
  static Uuid make_lvol(const std::shared_ptr<LvolStore>& store, const std::string& name, bool thin) {
    return block_on(store->create_lvol(name, lvol_bytes, thin, blob::ClearMethod::by_default));
  }
  static Task<> write_task(std::string device, ByteOffset offset, std::size_t bytes, std::byte value) {
    BdevDesc desc = co_await BdevDesc::open(device, Access::read_write);
    IoChannel channel = desc.io_channel();
    DmaBuf data{bytes};
    data.fill(value);
    co_await desc.write(channel, data, offset);
    co_await desc.flush(channel);
    channel.close();
    co_await desc.close();
  }
  static Task<std::vector<std::byte>> read_task(std::string device, ByteOffset offset, std::size_t bytes) {
    BdevDesc desc = co_await BdevDesc::open(device);
    IoChannel channel = desc.io_channel();
    const DmaBuf data{bytes};
    co_await desc.read(channel, data, offset);
    channel.close();
    co_await desc.close();
    co_return std::vector<std::byte>(data.bytes().begin(), data.bytes().end());
  }
  static void write(const std::string& device, std::uint64_t offset, std::size_t bytes, std::uint8_t value) {
    block_on(write_task(device, ByteOffset{offset}, bytes, std::byte{value}));
  }
  static std::vector<std::byte> read(const std::string& device, std::uint64_t offset, std::size_t bytes) {
    return block_on(read_task(device, ByteOffset{offset}, bytes));
  }
  blob::BlobId id(const std::string& name) { return stores_.find_lvol(name).second; }

  LvolStores stores_;
};

TEST_F(LvolTest, AVolumeIsABlockDevice) {
  const auto store = make_store(plug_in(std::make_shared<Media>(disk_bytes)));
  const Uuid uuid = make_lvol(store, "vol", true);
  const auto bdev = Bdev::find("lvs/vol");
  ASSERT_TRUE(bdev);
  EXPECT_EQ(bdev->name(), uuid.to_string());
  EXPECT_EQ(bdev->uuid(), uuid);
  EXPECT_EQ(bdev->product_name(), "Logical Volume");
  EXPECT_EQ(bdev->size().value, lvol_bytes);
  write("lvs/vol", 512, 1024, 7);
  EXPECT_EQ(read("lvs/vol", 0, 512), all(512, 0));
  EXPECT_EQ(read("lvs/vol", 512, 1024), all(1024, 7));
  EXPECT_EQ(block_on(bdev->stats())[bdev::IoType::write].operations, 1U);
  const auto shown = bdev->state()->driver_specific();
  EXPECT_EQ(shown["lvol"]["thin_provision"], true);
  EXPECT_EQ(shown["lvol"]["num_allocated_clusters"], 1);
  const auto data_and_hole = [&]() -> Task<std::pair<std::optional<Lba>, std::optional<Lba>>> {
    BdevDesc desc = co_await BdevDesc::open("lvs/vol");
    IoChannel channel = desc.io_channel();
    const auto data = co_await desc.seek_data(channel, Lba{0});
    const auto hole = co_await desc.seek_hole(channel, Lba{0});
    const auto none = co_await desc.seek_data(channel, *hole);
    EXPECT_EQ(none, std::nullopt);
    channel.close();
    co_await desc.close();
    co_return std::pair{data, hole};
  };
  EXPECT_EQ(block_on(data_and_hole()), (std::pair<std::optional<Lba>, std::optional<Lba>>{Lba{0}, Lba{cluster / 512}}));
  EXPECT_TRUE(bdev->state()->config().is_null()) << "the store is found again by itself";
}

TEST_F(LvolTest, ComesBackWithItsDevice) {
  const auto media = std::make_shared<Media>(disk_bytes);
  std::string base = plug_in(media);
  auto store = make_store(base);
  const Uuid uuid = store->uuid();
  make_lvol(store, "vol", false);
  write("lvs/vol", 0, 4096, 1);
  block_on(store->snapshot(id("lvs/vol"), "snap"));
  write("lvs/vol", 0, 512, 2);
  block_on(store->clone(id("lvs/snap"), "twin"));
  store.reset();
  block_on(stores_.stop());
  EXPECT_FALSE(Bdev::find("lvs/vol"));
  unplug(base);

  stores_.start();
  base = plug_in(media);
  EXPECT_EQ(stores_.find_by_name("lvs")->uuid(), uuid);
  EXPECT_FALSE(stores_.find_by_name("lvs")->blobs().recovered());
  EXPECT_EQ(read("lvs/vol", 0, 512), all(512, 2));
  EXPECT_EQ(read("lvs/snap", 0, 4096), all(4096, 1));
  EXPECT_EQ(read("lvs/twin", 0, 4096), all(4096, 1));
  EXPECT_EQ(code_of(BdevDesc::open("lvs/snap", Access::read_write)), Misuse::read_only);
  EXPECT_FALSE(Bdev::find("lvs/snap")->state()->supports(bdev::IoType::write));
  const auto snap = Bdev::find("lvs/snap")->state()->driver_specific();
  EXPECT_THAT(snap["lvol"]["clones"], SizeIs(2));
  EXPECT_EQ(Bdev::find("lvs/twin")->state()->driver_specific()["lvol"]["base_snapshot"], "snap");
}

TEST_F(LvolTest, GoesWithItsDevice) {
  const auto media = std::make_shared<Media>(disk_bytes);
  const std::string base = plug_in(media);
  make_lvol(make_store(base), "vol", true);
  write("lvs/vol", 0, 4096, 5);
  unplug(base);
  EXPECT_FALSE(Bdev::find("lvs/vol"));
  EXPECT_THAT(stores_.all(), IsEmpty());
  // What was flushed is there: the store is recovered.
  plug_in(media);
  EXPECT_TRUE(stores_.find_by_name("lvs")->blobs().recovered());
  EXPECT_EQ(read("lvs/vol", 0, 4096), all(4096, 5));
}

TEST_F(LvolTest, StartsFromAnotherDevice) {
  const auto source = std::make_shared<Media>(lvol_bytes);
  std::ranges::fill(source->bytes, std::byte{0x33});
  const auto media = std::make_shared<Media>(disk_bytes);
  std::string source_name = plug_in(source);
  const std::string base = plug_in(media);
  const auto uuid = Bdev::find(source_name)->uuid();
  {
    const auto store = make_store(base);
    block_on(store->clone_bdev(Bdev::find(source_name)->state(), "vol"));
    EXPECT_EQ(Bdev::find("lvs/vol")->state()->driver_specific()["lvol"]["external_snapshot_name"], uuid.to_string());
    write("lvs/vol", 512, 512, 9);
    block_on(store->snapshot(id("lvs/vol"), "snap"));
    EXPECT_EQ(code_of(BdevDesc::open(source_name, Access::read_write)), std::errc::operation_not_permitted);
  }
  EXPECT_EQ(read("lvs/vol", 0, 512), all(512, 0x33));
  EXPECT_EQ(read("lvs/vol", 512, 512), all(512, 9));
  EXPECT_EQ(read("lvs/vol", 1024, lvol_bytes - 1024), all(lvol_bytes - 1024, 0x33));
  block_on(stores_.stop());
  unplug(base);
  unplug(source_name);

  stores_.start();
  plug_in(media);
  EXPECT_FALSE(Bdev::find("lvs/vol")) << "it waits for what it starts from";
  EXPECT_FALSE(stores_.find_by_name("lvs")->lvols().at(id("lvs/vol")).registered);
  block_on(engine_.bdevs().register_device(std::make_unique<blob::test::TestDisk>("source", source, uuid)));
  ASSERT_TRUE(Bdev::find("lvs/vol"));
  EXPECT_EQ(read("lvs/vol", 0, 512), all(512, 0x33));
  EXPECT_EQ(read("lvs/vol", 512, 512), all(512, 9));
  // On its own feet.
  block_on(stores_.find_by_name("lvs")->inflate(id("lvs/vol"), false));
  EXPECT_EQ(read("lvs/vol", 0, 512), all(512, 0x33));
  EXPECT_EQ(Bdev::find("lvs/vol")->state()->driver_specific()["lvol"]["thin_provision"], false);
}

TEST_F(LvolTest, ChangesOfName) {
  const auto store = make_store(plug_in(std::make_shared<Media>(disk_bytes)));
  make_lvol(store, "vol", true);
  EXPECT_EQ(code_of(store->create_lvol("vol", 1, true, blob::ClearMethod::by_default)), std::errc::file_exists);
  write("lvs/vol", 0, 512, 1);
  BdevDesc user = block_on(BdevDesc::open("lvs/vol"));  // which does not notice
  block_on(store->rename_lvol(id("lvs/vol"), "other"));
  block_on(stores_.rename(store, "lvs2"));
  EXPECT_FALSE(Bdev::find("lvs/vol"));
  EXPECT_FALSE(Bdev::find("lvs/other"));
  EXPECT_EQ(user.bdev().aliases(), std::vector<std::string>{"lvs2/other"});
  block_on(user.close());
  EXPECT_EQ(read("lvs2/other", 0, 512), all(512, 1));
  block_on(store->set_read_only(id("lvs2/other")));
  EXPECT_EQ(code_of(BdevDesc::open("lvs2/other", Access::read_write)), Misuse::read_only);
}

TEST_F(LvolTest, ChangesOfNameThatAreRefusedChangeNothing) {
  const std::string base = plug_in(std::make_shared<Media>(disk_bytes));
  const auto store = make_store(base);
  make_lvol(store, "a", true);
  make_lvol(store, "b", true);
  bdev::Service& bdevs = bdev::Service::current();
  bdevs.set_aliases(base, {"lvs2/b", "lvs/c"});
  EXPECT_EQ(code_of(stores_.rename(store, "lvs2")), std::errc::file_exists);
  EXPECT_EQ(code_of(store->rename_lvol(id("lvs/a"), "c")), std::errc::file_exists);
  EXPECT_EQ(store->name(), "lvs");
  EXPECT_TRUE(Bdev::find("lvs/a") && Bdev::find("lvs/b"));
  EXPECT_FALSE(Bdev::find("lvs2/a"));
  bdevs.set_aliases(base, {});
  block_on(stores_.rename(store, "lvs2"));
  EXPECT_TRUE(Bdev::find("lvs2/a") && Bdev::find("lvs2/b"));
}

TEST_F(LvolTest, NoVolumeStartsFromItself) {
  const auto store = make_store(plug_in(std::make_shared<Media>(disk_bytes)));
  const auto other = make_store(plug_in(std::make_shared<Media>(disk_bytes)), "lvs2");
  make_lvol(store, "vol", true);
  block_on(other->clone_bdev(Bdev::find("lvs/vol")->state(), "clone"));
  block_on(other->snapshot(id("lvs2/clone"), "snap"));
  block_on(other->clone(id("lvs2/snap"), "second"));
  for (const char* name : {"lvs/vol", "lvs2/clone", "lvs2/second"}) {
    const auto task = [&]() -> Task<Result<>> {
      auto setting = store->set_parent_bdev(id("lvs/vol"), Bdev::find(name)->state());
      co_return co_await as_result(std::move(setting));
    };
    const Result<> set = block_on(task());
    ASSERT_FALSE(set) << name;
    EXPECT_EQ(set.error().code(), Misuse::invalid_argument) << name;
    EXPECT_THAT(set.error().what(), testing::HasSubstr("lvs/vol")) << name;
  }
}

TEST_F(LvolTest, MadeReadOnlyWhileItIsWritten) {
  const auto store = make_store(plug_in(std::make_shared<Media>(disk_bytes)));
  make_lvol(store, "vol", true);
  write("lvs/vol", 0, 512, 1);
  BdevDesc writer = block_on(BdevDesc::open("lvs/vol", Access::read_write));
  block_on(store->set_read_only(id("lvs/vol")));
  const auto again = [&]() -> Task<> {
    IoChannel channel = writer.io_channel();
    const DmaBuf data{512};
    co_await writer.write(channel, data, ByteOffset{0});
  };
  EXPECT_EQ(code_of(again()), std::errc::read_only_file_system);
  block_on(writer.close());
  EXPECT_EQ(read("lvs/vol", 0, 512), all(512, 1));
}

TEST_F(LvolTest, AnotherParent) {
  const auto store = make_store(plug_in(std::make_shared<Media>(disk_bytes)));
  make_lvol(store, "vol", true);
  write("lvs/vol", 0, 512, 1);
  block_on(store->snapshot(id("lvs/vol"), "snap"));
  make_lvol(store, "other", true);
  BdevDesc user = block_on(BdevDesc::open("lvs/other"));
  block_on(store->set_parent(id("lvs/other"), id("lvs/snap")));
  block_on(user.close());
  EXPECT_EQ(read("lvs/other", 0, 512), all(512, 1));
  EXPECT_EQ(Bdev::find("lvs/other")->state()->driver_specific()["lvol"]["base_snapshot"], "snap");

  const auto source = std::make_shared<Media>(lvol_bytes);
  std::ranges::fill(source->bytes, std::byte{0x44});
  const auto device = Bdev::find(plug_in(source))->state();
  block_on(store->set_parent_bdev(id("lvs/other"), device));
  EXPECT_EQ(read("lvs/other", 0, 512), all(512, 0x44));
  EXPECT_EQ(Bdev::find("lvs/other")->state()->driver_specific()["lvol"]["external_snapshot_name"],
            device->uuid().to_string());
  EXPECT_EQ(code_of(store->set_parent_bdev(id("lvs/other"), Bdev::find("lvs/vol")->state())), Misuse::invalid_argument);
  EXPECT_EQ(
      code_of(store->set_parent_bdev(id("lvs/other"), Bdev::find(plug_in(std::make_shared<Media>(512)))->state())),
      Misuse::invalid_argument);
}

TEST_F(LvolTest, ShallowCopyGoesOnByItself) {
  const auto store = make_store(plug_in(std::make_shared<Media>(disk_bytes)));
  make_lvol(store, "vol", true);
  write("lvs/vol", cluster, 512, 1);
  const auto target = std::make_shared<Media>(lvol_bytes);
  const std::string bdev = plug_in(target);
  EXPECT_EQ(code_of([&]() -> Task<> {
              stores_.start_shallow_copy("lvs/vol", bdev);
              co_return;
            }()),
            std::errc::operation_not_permitted);
  block_on(store->snapshot(id("lvs/vol"), "snap"));
  const auto finish = [&](const std::string& to) -> Task<LvolStores::ShallowCopy> {
    const std::uint32_t number = stores_.start_shallow_copy("lvs/snap", to);
    for (;;) {
      const LvolStores::ShallowCopy copy = stores_.check_shallow_copy(number);
      if (copy.ended) co_return copy;
      co_await sleep_for(std::chrono::milliseconds(1));
    }
  };
  const LvolStores::ShallowCopy copied = block_on(finish(bdev));
  EXPECT_FALSE(copied.failure);
  EXPECT_EQ(copied.progress.done, 1U);
  EXPECT_EQ(copied.progress.total, 1U);
  EXPECT_EQ(target->bytes[cluster], std::byte{1});
  EXPECT_THROW(stores_.check_shallow_copy(1), Error) << "forgotten";
  const LvolStores::ShallowCopy small = block_on(finish(plug_in(std::make_shared<Media>(512))));
  ASSERT_TRUE(small.failure);
  EXPECT_EQ(small.failure->code(), Misuse::out_of_range);
}

TEST_F(LvolTest, SizeAndEnd) {
  const auto store = make_store(plug_in(std::make_shared<Media>(disk_bytes)));
  const auto free = store->blobs().free_clusters();
  make_lvol(store, "vol", false);
  EXPECT_EQ(store->blobs().free_clusters(), free - 8);
  block_on(store->resize(id("lvs/vol"), 2 * lvol_bytes));
  EXPECT_EQ(Bdev::find("lvs/vol")->size().value, 2 * lvol_bytes);
  write("lvs/vol", 2 * lvol_bytes - 512, 512, 4);
  BdevDesc user = block_on(BdevDesc::open("lvs/vol"));
  EXPECT_EQ(code_of(store->resize(id("lvs/vol"), lvol_bytes)), std::errc::device_or_resource_busy);
  EXPECT_EQ(user.size().value, 2 * lvol_bytes);
  block_on(user.close());
  block_on(store->resize(id("lvs/vol"), lvol_bytes));
  EXPECT_EQ(Bdev::find("lvs/vol")->size().value, lvol_bytes);

  block_on(store->snapshot(id("lvs/vol"), "snap"));
  block_on(store->clone(id("lvs/snap"), "twin"));
  EXPECT_EQ(code_of(store->remove(id("lvs/snap"))), std::errc::device_or_resource_busy);
  EXPECT_TRUE(Bdev::find("lvs/snap"));
  block_on(store->inflate(id("lvs/twin"), true));
  block_on(store->remove(id("lvs/snap")));
  EXPECT_FALSE(Bdev::find("lvs/snap"));
  block_on(store->remove(id("lvs/twin")));
  block_on(store->remove(id("lvs/vol")));
  EXPECT_EQ(store->blobs().free_clusters(), free);
  block_on(stores_.remove(store));
  EXPECT_THAT(stores_.all(), IsEmpty());
}

TEST_F(LvolTest, TwoStoresOfOneNameAreNotMixedUp) {
  const auto media = std::make_shared<Media>(disk_bytes);
  make_lvol(make_store(plug_in(media)), "vol", true);
  const auto copy = std::make_shared<Media>(disk_bytes);
  copy->bytes = media->bytes;
  const std::string second = plug_in(copy);
  EXPECT_THAT(stores_.all(), SizeIs(1));
  EXPECT_EQ(stores_.find_by_name("lvs")->blobs().bdev_name(), "disk0");
  EXPECT_EQ(Bdev::find(second)->claim().type, bdev::Claim::none);
}

}  // namespace
}  // namespace spdkio::lvol
