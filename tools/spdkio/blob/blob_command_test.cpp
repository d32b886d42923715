#include "spdkio/blob/blob_command.hpp"

#include "spdkio/cli/run_for_test.hpp"

#include <spdkio/rpc/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace spdkio::tool {
namespace {

using ::testing::HasSubstr;

class BlobCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "spdkio-blob-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    disk_ = path("disk.img");
    std::ofstream(disk_).put('\0');
    std::filesystem::resize_file(disk_, std::uint64_t{8} << 20);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const char* name) const { return folder_ + "/" + name; }

  static std::string must(std::vector<std::string> args) {
    args.insert(args.begin(), "blob");
    const ProgramRun run = run_for_test(args);
    EXPECT_EQ(run.code, 0) << run.err;
    return run.out;
  }
  static ProgramRun run(std::vector<std::string> args) {
    args.insert(args.begin(), "blob");
    return run_for_test(args);
  }
  std::string make_file(const char* name, std::size_t bytes) const {
    std::string text(bytes, '\0');
    for (std::size_t i = 0; i < bytes / 2; ++i) text[i] = static_cast<char>(i * 7 + i / 251);
    std::ofstream(path(name), std::ios::binary) << text;
    return text;
  }
  static std::string content(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string copy_in(const char* name) {
    return Json::parse(must({"cp", disk_, path(name), "blob:new", "--json"}))["blob"].get<std::string>();
  }

  std::string folder_;
  std::string disk_;
};

TEST_F(BlobCommandTest, InAndOut) {
  EXPECT_THAT(must({"create", disk_, "--cluster-size", "64KiB", "--type", "test"}), HasSubstr("clusters of 64 KiB"));
  const std::string data = make_file("in", 300 * 1024 + 512);
  const Json copied = Json::parse(must({"cp", disk_, path("in"), "blob:new", "--json"}));
  const auto id = copied["blob"].get<std::string>();
  EXPECT_EQ(copied["bytes"], 320 * 1024) << "a whole number of clusters";

  const Json store = Json::parse(must({"ls", disk_, "--json"}));
  EXPECT_EQ(store["type"], "test");
  EXPECT_EQ(store["recovered"], false);
  ASSERT_EQ(store["blobs"].size(), 1U);
  EXPECT_EQ(store["blobs"][0]["id"], id);
  EXPECT_THAT(must({"ls", disk_}), HasSubstr(id));
  const Json blob = Json::parse(must({"dump", disk_, id}));
  EXPECT_EQ(blob["data"][0]["offset"], 0);

  must({"cp", disk_, "blob:" + id, path("out")});
  std::string padded = data;
  padded.resize(320 * 1024);
  EXPECT_TRUE(content(path("out")) == padded);
  EXPECT_EQ(run({"cp", disk_, "blob:" + id, path("out")}).code, 2) << "a file with something in it is kept";

  make_file("more", 640 * 1024);
  EXPECT_EQ(run({"cp", disk_, path("more"), "blob:" + id}).code, 1) << "larger than the blob";
}

TEST_F(BlobCommandTest, AStoreIsNotMadeAnewByAccident) {
  must({"create", disk_});
  const ProgramRun again = run({"create", disk_});
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, HasSubstr("--overwrite"));
  must({"create", disk_, "--overwrite"});
}

TEST_F(BlobCommandTest, FindsDamageAndRemovesIt) {
  must({"create", disk_, "--cluster-size", "64KiB"});
  make_file("in", 64 * 1024);
  const std::string good = copy_in("in");
  const std::string bad = copy_in("in");
  EXPECT_THAT(must({"fsck", disk_}), HasSubstr("2 blobs are good, 0 damaged"));
  {
    std::fstream image(disk_, std::ios::in | std::ios::out | std::ios::binary);
    std::uint32_t md_start = 0;
    image.seekg(48);
    image.read(reinterpret_cast<char*>(&md_start), sizeof(md_start));
    const std::uint64_t root = std::stoull(bad, nullptr, 16) & 0xFFFFFFFF;
    image.seekp(static_cast<std::streamoff>((md_start + root) * 4096 + 200));
    image << "damage";
  }
  const ProgramRun found = run({"fsck", disk_});
  EXPECT_EQ(found.code, 1);
  EXPECT_THAT(found.out, HasSubstr("damaged " + bad));
  EXPECT_THAT(found.out, HasSubstr("1 blobs are good, 1 damaged"));
  EXPECT_THAT(must({"repair", disk_}), HasSubstr("deleted " + bad));
  EXPECT_THAT(must({"fsck", disk_}), HasSubstr("1 blobs are good, 0 damaged"));
  const Json store = Json::parse(must({"ls", disk_, "--json"}));
  EXPECT_EQ(store["blobs"][0]["id"], good);
  EXPECT_EQ(store["total_bytes"].get<std::uint64_t>() - store["free_bytes"].get<std::uint64_t>(), 64U * 1024);
}

TEST_F(BlobCommandTest, SaysWhatIsWrong) {
  const ProgramRun none = run({"ls", disk_});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("there is no Blobstore"));
  EXPECT_EQ(run({"eat", disk_}).code, 2);
  EXPECT_EQ(run({"cp", disk_, "a", "b"}).code, 2);
  EXPECT_EQ(run({"cp", disk_, "blob:new", path("out")}).code, 2);
  EXPECT_EQ(run({"cp", disk_, "blob:x", path("out")}).code, 2);
  EXPECT_EQ(run({"create", disk_, "--cluster-size", "many"}).code, 2);
}

}  // namespace
}  // namespace spdkio::tool
