// Steady-state I/O allocates nothing on the heap. This program replaces the global allocation functions and counts; a
// worker per queue slot reads, writes and uses scatter lists, on every module that has no need to allocate.

#include <spdkio/spdkio.hpp>

#include <spdkio/bdev/service.hpp>
#include <spdkio/rpc/json.hpp>
#include <spdkio/runtime/frame_cache.hpp>
#include <spdkio/runtime/scope.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lvol/lvol_store.hpp"
#include "runtime/counted_malloc.hpp"

namespace spdkio {
namespace {

using runtime_test::allocations;
using runtime_test::counting;

using bdev::IoType;

/// What a worker does in the 16 blocks from `first` on.
using Work = Task<>(const BdevDesc& desc, const IoChannel& channel, DmaSpan buffer, std::uint64_t first, int rounds);
Work work;
Work work_in_a_zone;

struct Subject {
  const char* test_name;
  Task<std::string> (*create)(std::string folder);
  bool needs_io_uring = false;
  Work* work = spdkio::work;
};
void PrintTo(const Subject& subject, std::ostream* out) { *out << subject.test_name; }

constexpr std::uint64_t num_blocks = 4096;

Task<> create_base() { co_await bdev::create_malloc({.name = "Base", .num_blocks = num_blocks, .block_size = 4096}); }

Task<std::string> null_disk(std::string) {
  co_await bdev::create_null({.name = "Disk", .num_blocks = num_blocks, .block_size = 4096});
  co_return "Disk";
}
Task<std::string> malloc_disk(std::string) {
  co_await create_base();
  co_return "Base";
}
Task<std::string> file_disk(std::string folder) {
  const std::string path = folder + "/disk";
  std::ofstream(path).put('\0');
  std::filesystem::resize_file(path, num_blocks * 4096);
  const bdev::FileOptions options{
      .name = "Disk", .filename = path, .block_size = 4096, .backend = bdev::FileBackend::io_uring};
  co_await bdev::create_file(options);
  co_return "Disk";
}
Task<std::string> passthru_disk(std::string) {
  co_await create_base();
  co_await bdev::create_passthru({.name = "Disk", .base = "Base"});
  co_return "Disk";
}
Task<std::string> split_disk(std::string) {
  co_await create_base();
  co_await bdev::create_split({.base = "Base", .count = 2});
  co_return "Basep1";
}
Task<std::string> error_disk(std::string) {
  co_await create_base();
  co_await bdev::create_error({.base = "Base"});
  co_return "EE_Base";
}
Task<std::string> delay_disk(std::string) {
  using namespace std::chrono_literals;
  co_await create_base();
  co_await bdev::create_delay(
      {.name = "Disk",
       .base = "Base",
       .latencies = {.average_read = 1us, .p99_read = 2us, .average_write = 1us, .p99_write = 2us}});
  co_return "Disk";
}

Task<std::string> zone_block_disk(std::string) {
  co_await create_base();
  co_await bdev::create_zone_block({.name = "Disk", .base = "Base", .zone_capacity = BlockCount{16}});
  co_return "Disk";
}

/// The store is kept until the next one is made.
std::shared_ptr<lvol::LvolStore> kept_store;

Task<std::string> lvol_with(bool thin) {
  co_await create_base();
  lvol::LvolStore::Options options;
  options.name = "lvs";
  options.cluster_size = 32 << 10;
  kept_store = co_await lvol::LvolStore::create("Base", options);
  const Uuid uuid = co_await kept_store->create_lvol("Disk", 640 * 4096, thin, blob::ClearMethod::by_default);
  co_return uuid.to_string();
}
Task<std::string> lvol_disk(std::string) { return lvol_with(false); }
/// No two of its clusters lie in a row: what crosses a boundary is two operations.
Task<std::string> scattered_lvol_disk(std::string) {
  const std::string name = co_await lvol_with(true);
  BdevDesc desc = co_await BdevDesc::open(name, Access::read_write);
  IoChannel channel = desc.io_channel();
  const DmaBuf data{32 << 10};
  for (std::uint64_t cluster = 80; cluster-- > 0;) {
    co_await desc.write(channel, data, ByteOffset{cluster * data.size()});
  }
  channel.close();
  co_await desc.close();
  co_return name;
}

/// Devices of an engine's own, made with its own methods.
Task<> method(std::string name, Json params) {
  auto asked = engine::Engine::current().methods()->call(std::move(name), std::move(params));
  co_await std::move(asked);
}
Task<std::string> own_disk(std::string method_name) {
  Json params = {{"name", "Own"}, {"num_blocks", num_blocks}, {"block_size", 4096}};
  auto made = method(std::move(method_name), std::move(params));
  co_await std::move(made);
  co_return "Own";
}
Task<std::string> own_null_disk(std::string) { return own_disk("bdev_null_create"); }
Task<std::string> own_malloc_disk(std::string) { return own_disk("bdev_malloc_create"); }
/// SPDK's module over a device of this library.
Task<std::string> own_passthru_disk(std::string) {
  co_await create_base();
  Json params = {{"name", "Disk"}, {"base_bdev_name", "Base"}};
  auto made = method("bdev_passthru_create", std::move(params));
  co_await std::move(made);
  co_return "Disk";
}

std::vector<Subject> all_subjects() {
  std::vector<Subject> subjects{{"Null", null_disk},
                                {"Malloc", malloc_disk},
                                {"FileIoUring", file_disk, true},
                                {"Passthru", passthru_disk},
                                {"Split", split_disk},
                                {"ErrorWithoutRules", error_disk},
                                {"Delay", delay_disk},
                                {"Lvol", lvol_disk},
                                {"LvolScattered", scattered_lvol_disk},
                                {"ZoneBlock", zone_block_disk, false, work_in_a_zone}};
  const char* const engine = std::getenv("SPDKIO_ENGINE");
  if (engine != nullptr && std::string_view(engine) == "spdk") {
    subjects.push_back({"SpdkNull", own_null_disk});
    subjects.push_back({"SpdkMalloc", own_malloc_disk});
    subjects.push_back({"SpdkPassthruOverOurMalloc", own_passthru_disk});
  }
  return subjects;
}

/// Passes of one worker: each is a read, a write, and both with a scatter list of three pieces.
Task<> work(const BdevDesc& desc, const IoChannel& channel, DmaSpan buffer, std::uint64_t first, int rounds) {
  const std::array<DmaSpan, 3> pieces{buffer.subspan(0, 4096), buffer.subspan(8192, 4096), buffer.subspan(4096, 4096)};
  for (int i = 0; i < rounds; ++i) {
    const std::uint64_t lba = first + static_cast<std::uint64_t>(i % 8);
    co_await desc.write(channel, buffer.first(4096), LbaRange{Lba{lba}, BlockCount{1}});
    co_await desc.read(channel, buffer.first(4096), ByteOffset{lba * 4096});
    co_await desc.write(channel, pieces, LbaRange{Lba{lba}, BlockCount{3}});
    co_await desc.read(channel, pieces, LbaRange{Lba{lba}, BlockCount{3}});
  }
}

/// Passes that reset the zone and fill it by a write, appends, and an append of three pieces.
Task<> work_in_a_zone(const BdevDesc& desc, const IoChannel& channel, DmaSpan buffer, std::uint64_t first, int rounds) {
  const std::array<DmaSpan, 3> pieces{buffer.subspan(0, 4096), buffer.subspan(8192, 4096), buffer.subspan(4096, 4096)};
  const Lba zone{first};
  for (int i = 0; i < rounds; ++i) {
    co_await desc.zone_management(channel, zone, bdev::ZoneAction::reset);
    co_await desc.write(channel, buffer.first(4096), LbaRange{zone, BlockCount{1}});
    for (int block = 1; block < 13; ++block) co_await desc.zone_append(channel, buffer.first(4096), zone);
    const Lba last = co_await desc.zone_append(channel, pieces, zone);
    co_await desc.read(channel, pieces, LbaRange{last, BlockCount{3}});
    co_await desc.read(channel, buffer.first(4096), LbaRange{zone, BlockCount{1}});
    std::array<bdev::ZoneInfo, 1> info;
    co_await desc.zone_report(channel, zone, info);
  }
}

Task<> one_step(const BdevDesc& desc, const IoChannel& channel, DmaSpan buffer) {
  co_await desc.read(channel, buffer.first(4096), ByteOffset{0});
}

/// The same through a Task per operation: frames come from the cache.
Task<> work_with_tasks(const BdevDesc& desc, const IoChannel& channel, DmaSpan buffer, int rounds) {
  for (int i = 0; i < rounds; ++i) co_await one_step(desc, channel, buffer);
}

class NoAllocationTest : public ::testing::TestWithParam<Subject> {};

TEST(CountingTest, SeesEveryKindOfAllocation) {
  const auto counted = [](auto allocate) {
    allocations = 0;
    counting = true;
    void* volatile memory = allocate();
    counting = false;
    return std::pair{allocations.load(), memory};
  };
  auto [by_new, a] = counted([] { return ::operator new(100); });
  ::operator delete(a);
  auto [by_aligned_new, b] = counted([] { return ::operator new(128, std::align_val_t{64}); });
  ::operator delete(b, std::align_val_t{64});
  auto [by_malloc, c] = counted([] { return std::malloc(100); });
  std::free(c);
  auto [by_strdup, d] = counted([] { return static_cast<void*>(::strdup("inside the C library")); });
  std::free(d);
  EXPECT_EQ(by_new, 1u);
  EXPECT_EQ(by_aligned_new, 1u);
  EXPECT_EQ(by_malloc, 1u);
  EXPECT_EQ(by_strdup, 1u);
}

TEST(CountingTest, FramesAreCached) {
  ASSERT_TRUE(detail::frame_cache_active()) << "otherwise the rest of this program can't hold";
}

TEST_P(NoAllocationTest, InTheSteadyState) {
  std::string folder = (std::filesystem::temp_directory_path() / "spdkio-no-allocation-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  Env env = Env::start({.name = "no-allocation", .no_pci = true, .no_huge = true});
  Thread thread = Thread::attach("no-allocation");
  auto measure = [&](const BdevDesc& desc, const IoChannel& channel, std::size_t queue_depth,
                     int rounds) -> Task<std::uint64_t> {
    const DmaBuf buffers{queue_depth * 12288};
    for (int warm_up = 0; warm_up < 2; ++warm_up) {
      Scope scope;
      for (std::size_t i = 0; i < queue_depth; ++i) {
        scope.spawn(GetParam().work(desc, channel, buffers.subspan(i * 12288, 12288), i * 16, rounds / 4));
      }
      co_await scope.join();
    }
    co_await work_with_tasks(desc, channel, buffers.span(), 100);
    Scope scope;
    for (std::size_t i = 0; i < queue_depth; ++i) {
      scope.spawn(GetParam().work(desc, channel, buffers.subspan(i * 12288, 12288), i * 16, rounds));
    }
    allocations = 0;
    counting = true;
    co_await scope.join();
    co_await work_with_tasks(desc, channel, buffers.span(), rounds);
    counting = false;
    co_return allocations.load();
  };
  auto body = [&]() -> Task<> {
    auto creating = GetParam().create(folder);
    auto name = co_await as_result(std::move(creating));
    if (!name && GetParam().needs_io_uring) {
      std::string why = name.error().what();
      [&] { GTEST_SKIP() << "io_uring is not to be had here: " << why; }();
      co_return;
    }
    if (!name) throw name.error();
    BdevDesc desc = co_await BdevDesc::open(*name, Access::read_write);
    {
      IoChannel channel = desc.io_channel();
      for (const std::size_t queue_depth : {std::size_t{1}, std::size_t{32}}) {
        const int rounds = queue_depth == 1 ? 1000 : 200;
        const std::uint64_t counted = co_await measure(desc, channel, queue_depth, rounds);
        EXPECT_EQ(counted, 0u) << "at queue depth " << queue_depth;
        EXPECT_GE(channel.stats()[IoType::read].operations, 2000u);
      }
    }
    co_await desc.close();
    if (const auto store = std::exchange(kept_store, nullptr)) co_await store->close();
  };
  block_on(body());
  thread.close();
  env.stop();
  std::filesystem::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(On, NoAllocationTest, ::testing::ValuesIn(all_subjects()),
                         [](const auto& instance) { return std::string(instance.param.test_name); });

}  // namespace
}  // namespace spdkio
