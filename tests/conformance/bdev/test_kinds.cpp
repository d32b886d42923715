// The devices that every general behaviour is checked on.

#include <spdkio/rpc/json.hpp>

#include <string_view>

#include "conformance_fixture.hpp"
#include "lvol/lvol_store.hpp"

namespace spdkio::conformance {
namespace {

Task<> malloc_named(std::string name, std::uint32_t block_size = 512, std::uint64_t num_blocks = device_blocks) {
  const bdev::MallocOptions options{.name = name, .num_blocks = num_blocks, .block_size = block_size};
  co_await bdev::create_malloc(options);
}

Task<std::string> malloc_512(std::string) {
  co_await malloc_named("Disk");
  co_return "Disk";
}

Task<std::string> malloc_4096(std::string) {
  co_await malloc_named("Disk", 4096);
  co_return "Disk";
}

Task<std::string> malloc_metadata(bool interleaved) {
  const bdev::MallocOptions options{
      .name = "Disk", .num_blocks = device_blocks, .metadata_size = 16, .metadata_interleaved = interleaved};
  co_await bdev::create_malloc(options);
  co_return "Disk";
}
Task<std::string> malloc_interleaved(std::string) { return malloc_metadata(true); }
Task<std::string> malloc_separate(std::string) { return malloc_metadata(false); }

Task<std::string> file_with(std::string folder, bdev::FileBackend backend) {
  const std::string path = folder + "/disk";
  std::ofstream(path).put('\0');
  std::filesystem::resize_file(path, device_blocks * 4096);
  const bdev::FileOptions options{.name = "Disk", .filename = path, .block_size = 4096, .backend = backend};
  co_await bdev::create_file(options);
  co_return "Disk";
}
Task<std::string> file_io_uring(std::string folder) {
  return file_with(std::move(folder), bdev::FileBackend::io_uring);
}
Task<std::string> file_automatic(std::string folder) {
  return file_with(std::move(folder), bdev::FileBackend::automatic);
}

Task<std::string> passthru(std::string) {
  co_await malloc_named("Base");
  const bdev::PassthruOptions options{.name = "Disk", .base = "Base"};
  co_await bdev::create_passthru(options);
  co_return "Disk";
}

/// The second part, so that an offset is added.
Task<std::string> split(std::string) {
  co_await malloc_named("Base", 512, 2 * device_blocks);
  const bdev::SplitOptions options{.base = "Base", .count = 2};
  co_await bdev::create_split(options);
  co_return "Basep1";
}

Task<std::string> split_file(std::string folder) {
  const std::string path = folder + "/disk";
  std::ofstream(path).put('\0');
  std::filesystem::resize_file(path, 2 * device_blocks * 512);
  const bdev::FileOptions file{.name = "Base", .filename = path, .block_size = 512, .direct = bdev::DirectIo::off};
  co_await bdev::create_file(file);
  const bdev::SplitOptions options{.base = "Base", .count = 2};
  co_await bdev::create_split(options);
  co_return "Basep1";
}

Task<std::string> delay(std::string) {
  co_await malloc_named("Base");
  const bdev::DelayOptions options{.name = "Disk", .base = "Base", .latencies = {.average_read = 1us, .p99_read = 2us}};
  co_await bdev::create_delay(options);
  co_return "Disk";
}

Task<std::string> error(std::string) {
  co_await malloc_named("Base");
  const bdev::ErrorOptions options{.base = "Base"};
  co_await bdev::create_error(options);
  co_return "EE_Base";
}

Task<std::string> tower(std::string folder) {
  co_await split(std::move(folder));
  const bdev::ErrorOptions error{.base = "Basep1", .name = "Error"};
  co_await bdev::create_error(error);
  const bdev::DelayOptions delay{.name = "Delay", .base = "Error", .latencies = {}};
  co_await bdev::create_delay(delay);
  const bdev::PassthruOptions options{.name = "Disk", .base = "Delay"};
  co_await bdev::create_passthru(options);
  co_return "Disk";
}

/// The store is kept until the next one is made: it is told when its device goes.
Task<std::string> lvol_on_malloc(bool thin) {
  static std::shared_ptr<lvol::LvolStore> store;
  co_await malloc_named("Base", 512, 4 * device_blocks);
  lvol::LvolStore::Options options;
  options.name = "lvs";
  options.cluster_size = 64 << 10;
  store = co_await lvol::LvolStore::create("Base", options);
  const Uuid uuid = co_await store->create_lvol("Disk", device_blocks * 512, thin, blob::ClearMethod::by_default);
  co_return uuid.to_string();
}
Task<std::string> lvol_thick(std::string) { return lvol_on_malloc(false); }
Task<std::string> lvol_thin(std::string) { return lvol_on_malloc(true); }

std::vector<Kind> library_kinds() {
  return {{"Malloc512", malloc_512},
          {"Malloc4096", malloc_4096},
          {"MallocInterleavedMetadata", malloc_interleaved},
          {"MallocSeparateMetadata", malloc_separate},
          {"FileIoUring", file_io_uring, false, true},
          {"FileWithoutIoUring", file_automatic, true},
          {"Passthru", passthru},
          {"Split", split},
          {"SplitOverFile", split_file},
          {"Delay", delay},
          {"Error", error},
          {"Lvol", lvol_thick},
          {"LvolThin", lvol_thin},
          {"Tower", tower}};
}

// ---- devices of an engine's own, made with its own methods

Task<> method(std::string name, Json params) {
  auto asked = engine::Engine::current().methods()->call(std::move(name), std::move(params));
  co_await std::move(asked);
}

Task<> own_malloc_named(std::string name, std::uint32_t block_size = 512, std::uint64_t num_blocks = device_blocks) {
  Json params = {{"name", name}, {"num_blocks", num_blocks}, {"block_size", block_size}};
  auto made = method("bdev_malloc_create", std::move(params));
  co_await std::move(made);
}

Task<std::string> own_malloc_512(std::string) {
  co_await own_malloc_named("Disk");
  co_return "Disk";
}

Task<std::string> own_malloc_4096(std::string) {
  co_await own_malloc_named("Disk", 4096);
  co_return "Disk";
}

Task<std::string> own_malloc_interleaved(std::string) {
  Json params = {{"name", "Disk"}, {"num_blocks", device_blocks}, {"block_size", 512}, {"md_size", 16}};
  params["md_interleave"] = true;
  auto made = method("bdev_malloc_create", std::move(params));
  co_await std::move(made);
  co_return "Disk";
}

Task<std::string> own_aio(std::string folder) {
  const std::string path = folder + "/disk";
  std::ofstream(path).put('\0');
  std::filesystem::resize_file(path, device_blocks * 4096);
  Json params = {{"name", "Disk"}, {"filename", path}, {"block_size", 4096}};
  auto made = method("bdev_aio_create", std::move(params));
  co_await std::move(made);
  co_return "Disk";
}

Task<std::string> own_passthru(std::string) {
  co_await own_malloc_named("Base");
  Json params = {{"name", "Disk"}, {"base_bdev_name", "Base"}};
  auto made = method("bdev_passthru_create", std::move(params));
  co_await std::move(made);
  co_return "Disk";
}

Task<std::string> own_split(std::string) {
  co_await own_malloc_named("Base", 512, 2 * device_blocks);
  Json params = {{"base_bdev", "Base"}, {"split_count", 2}};
  auto made = method("bdev_split_create", std::move(params));
  co_await std::move(made);
  co_return "Basep1";
}

/// The engine's own module over a Device of the library's, and the other way round.
Task<std::string> own_over_ours(std::string) {
  co_await malloc_named("Base");
  Json params = {{"name", "Disk"}, {"base_bdev_name", "Base"}};
  auto made = method("bdev_passthru_create", std::move(params));
  co_await std::move(made);
  co_return "Disk";
}
Task<std::string> ours_over_own(std::string) {
  co_await own_malloc_named("Base");
  const bdev::PassthruOptions options{.name = "Disk", .base = "Base"};
  co_await bdev::create_passthru(options);
  co_return "Disk";
}

}  // namespace

std::vector<Kind> all_kinds() {
  std::vector<Kind> kinds = library_kinds();
  const char* const engine = ::getenv("SPDKIO_ENGINE");
  if (engine != nullptr && std::string_view(engine) == "spdk") {
    const std::vector<Kind> own{{"SpdkMalloc512", own_malloc_512},
                                {"SpdkMalloc4096", own_malloc_4096},
                                {"SpdkMallocInterleavedMetadata", own_malloc_interleaved},
                                {"SpdkAio", own_aio},
                                {"SpdkPassthru", own_passthru},
                                {"SpdkSplit", own_split},
                                {"SpdkPassthruOverOurMalloc", own_over_ours},
                                {"OurPassthruOverSpdkMalloc", ours_over_own}};
    kinds.insert(kinds.end(), own.begin(), own.end());
  }
  return kinds;
}

}  // namespace spdkio::conformance
