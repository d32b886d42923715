
#include "spdkio/cli/run_for_test.hpp"
#include "spdkio/system/fake_root.hpp"

#include <spdkio/base/crc32c.hpp>
#include <spdkio/rpc/json.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <span>

namespace spdkio::tool {
namespace {

class CopyCommand : public testing::Test {
 protected:
  std::string path(const char* name) const { return (folder_.path() / name).string(); }
  std::string content(const char* name) const {
    std::ifstream file{folder_.path() / name, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
  }
  std::uint64_t allocated_bytes(const char* name) const {
    struct stat status{};
    EXPECT_EQ(::stat(path(name).c_str(), &status), 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  // Data, then a hole, then data that ends in the middle of a piece.
  void make_image(const char* name, std::size_t bytes) {
    std::string data(bytes, '\0');
    for (std::size_t i = 0; i < bytes / 4; ++i) data[i] = static_cast<char>(i * 7 >> 3);
    for (std::size_t i = bytes - 5000; i < bytes; ++i) data[i] = 'z';
    folder_.file(std::string{"/"} + name, data);
  }

  FakeRoot folder_;
};

TEST_F(CopyCommand, FileToFileKeepsContentAndMakesHoles) {
  make_image("a.img", (5 << 20) + 512 * 7);
  const ProgramRun run = run_for_test({"copy", path("a.img"), path("b.img"), "--verify", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  const std::string image = content("a.img");
  EXPECT_EQ(content("b.img"), image);
  EXPECT_LT(allocated_bytes("b.img"), 3U << 20) << "three quarters are zeroes";
  const Json json = *rpc::parse_json(run.out);
  EXPECT_EQ(json["same"], true);
  EXPECT_EQ(json["total_bytes"], image.size());
  EXPECT_EQ(json["data_bytes"].get<std::uint64_t>() + json["hole_bytes"].get<std::uint64_t>(), image.size());
  EXPECT_EQ(json["source_crc32c"], fmt::format("{:08x}", crc32c(std::as_bytes(std::span{image}))));
  EXPECT_EQ(json["destination_crc32c"], json["source_crc32c"]);
}

TEST_F(CopyCommand, ManyPieceSizesAndDepthsGiveTheSameChecksum) {
  make_image("a.img", 3 << 20);
  const std::string whole = content("a.img");
  const std::string expected = fmt::format("{:08x}", crc32c(std::as_bytes(std::span{whole})));
  for (const char* size : {"4KiB", "12KiB", "1MiB", "16MiB"}) {
    for (const char* depth : {"1", "13"}) {
      const ProgramRun run =
          run_for_test({"copy", path("a.img"), "malloc:4MiB", "-s", size, "-q", depth, "--verify", "--json"});
      ASSERT_EQ(run.code, 0) << run.err;
      EXPECT_EQ((*rpc::parse_json(run.out))["source_crc32c"], expected) << size << " " << depth;
    }
  }
}

TEST_F(CopyCommand, ZeroesReplaceWhatWasThere) {
  folder_.file("/zeroes.img", std::string(2 << 20, '\0')).file("/old.img", std::string(2 << 20, 'x'));
  // Through a device that a configuration makes, so that its content is kept.
  folder_.file("/config.json", R"({"subsystems": [{"subsystem": "bdev", "config": [
      {"method": "bdev_aio_create", "params": {"name": "Old", "block_size": 512, "filename": ")" +
                                   path("old.img") + R"("}}]}]})");
  const ProgramRun run = run_for_test({"copy", "-c", path("config.json"), path("zeroes.img"), "Old", "--verify"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(content("old.img"), std::string(2 << 20, '\0'));
}

TEST_F(CopyCommand, NoHolesWritesEverything) {
  make_image("a.img", 2 << 20);
  const ProgramRun run = run_for_test({"copy", path("a.img"), path("b.img"), "--no-holes", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ((*rpc::parse_json(run.out))["data_bytes"], 2U << 20);
  EXPECT_EQ(content("b.img"), content("a.img"));
}

TEST_F(CopyCommand, VerifyNoticesADestinationThatForgets) {
  make_image("a.img", 2 << 20);
  const ProgramRun run = run_for_test({"copy", path("a.img"), "null:2MiB", "--verify"});
  EXPECT_EQ(run.code, 1);
  EXPECT_NE(run.err.find("differs from the source"), std::string::npos) << run.err;
}

TEST_F(CopyCommand, ExistingFilesAreKept) {
  make_image("a.img", 1 << 20);
  folder_.file("/b.img", "precious");
  const ProgramRun run = run_for_test({"copy", path("a.img"), path("b.img")});
  EXPECT_EQ(run.code, 2);
  EXPECT_NE(run.err.find("--overwrite"), std::string::npos) << run.err;
  EXPECT_EQ(content("b.img"), "precious");
  ASSERT_EQ(run_for_test({"copy", path("a.img"), path("b.img"), "--overwrite"}).code, 0);
  EXPECT_EQ(content("b.img"), content("a.img"));
}

TEST_F(CopyCommand, ASourceThatCannotBeReadCostsNothing) {
  folder_.file("/b.img", "precious");
  EXPECT_EQ(run_for_test({"copy", path("absent.img"), path("b.img"), "--overwrite"}).code, 1);
  EXPECT_EQ(content("b.img"), "precious");
}

TEST_F(CopyCommand, ImpossibleCopiesAreRefused) {
  make_image("a.img", 2 << 20);
  EXPECT_EQ(run_for_test({"copy", path("a.img"), path("a.img"), "--overwrite"}).code, 2);
  EXPECT_EQ(content("a.img").size(), 2U << 20);
  const ProgramRun small = run_for_test({"copy", path("a.img"), "malloc:1MiB"});
  EXPECT_EQ(small.code, 1);
  EXPECT_NE(small.err.find("does not fit"), std::string::npos) << small.err;
  EXPECT_EQ(run_for_test({"copy", path("a.img"), "malloc:4MiB", "-s", "1000"}).code, 2);
  EXPECT_EQ(run_for_test({"copy", path("a.img"), folder_.path().string()}).code, 2);
  EXPECT_EQ(run_for_test({"copy", path("a.img")}).code, 2);
}

}  // namespace
}  // namespace spdkio::tool
