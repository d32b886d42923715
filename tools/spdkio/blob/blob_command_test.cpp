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
  EXPECT_EQ(copied["bytes"], data.size());

  const Json store = Json::parse(must({"ls", disk_, "--json"}));
  EXPECT_EQ(store["type"], "test");
  EXPECT_EQ(store["recovered"], false);
  ASSERT_EQ(store["blobs"].size(), 1U);
  EXPECT_EQ(store["blobs"][0]["id"], id);
  EXPECT_EQ(store["blobs"][0]["bytes"], 320 * 1024) << "a whole number of clusters";
  EXPECT_EQ(store["blobs"][0]["length"], data.size());
  EXPECT_THAT(must({"ls", disk_}), HasSubstr(id));
  const Json blob = Json::parse(must({"dump", disk_, id}));
  EXPECT_EQ(blob["data"][0]["offset"], 0);

  must({"cp", disk_, "blob:" + id, path("out")});
  EXPECT_TRUE(content(path("out")) == data);
  EXPECT_EQ(run({"cp", disk_, "blob:" + id, path("out")}).code, 2) << "a file with something in it is kept";

  make_file("more", 640 * 1024);
  EXPECT_EQ(run({"cp", disk_, path("more"), "blob:" + id}).code, 1) << "larger than the blob";
}

TEST_F(BlobCommandTest, FilesOfAnyLengthComeBackAsTheyWere) {
  must({"create", disk_, "--cluster-size", "64KiB"});
  for (const std::size_t bytes : {0, 1, 511, 513, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 2 * 1024 * 1024 + 777}) {
    SCOPED_TRACE(bytes);
    std::string data(bytes, 'x');
    std::ofstream(path("in"), std::ios::binary) << data;
    const std::string id = copy_in("in");
    must({"cp", disk_, "blob:" + id, path("out"), "--overwrite"});
    EXPECT_TRUE(content(path("out")) == data);
  }
}

TEST_F(BlobCommandTest, NothingOfWhatWasThereShows) {
  must({"create", disk_, "--cluster-size", "64KiB"});
  std::ofstream(path("old"), std::ios::binary) << std::string(128 * 1024, 'o');
  const std::string id = copy_in("old");
  std::ofstream(path("new"), std::ios::binary) << "new";
  must({"cp", disk_, path("new"), "blob:" + id});
  must({"cp", disk_, "blob:" + id, path("out")});
  EXPECT_EQ(content(path("out")), "new");
  // In the blob itself, too.
  std::string all = content(disk_);
  EXPECT_EQ(all.find("ooo"), std::string::npos);
  EXPECT_NE(all.find("new"), std::string::npos);

  // A blob that was given a length later, with something behind it.
  std::ofstream(path("long"), std::ios::binary) << std::string(64 * 1024, 'o') + "n";
  const std::string second = copy_in("long");
  {
    std::string image = content(disk_);
    const auto end = image.find(std::string(64 * 1024, 'o'));
    ASSERT_NE(end, std::string::npos);
    std::fstream file(disk_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(end + 64 * 1024 + 1));
    file << "secret";
  }
  const std::string target(256 * 1024, 't');
  std::ofstream(path("target"), std::ios::binary) << target;
  const Json device = {{"name", "target"}, {"filename", path("target")}, {"block_size", 4096}};
  const Json create = {{"method", "bdev_aio_create"}, {"params", device}};
  const Json subsystem = {{"subsystem", "bdev"}, {"config", Json::array({create})}};
  std::ofstream(path("config")) << Json({{"subsystems", Json::array({subsystem})}}).dump();
  must({"cp", disk_, "blob:" + second, "target", "--config", path("config")});
  std::string wanted = std::string(64 * 1024, 'o') + "n";
  wanted.resize(68 * 1024);
  wanted += target.substr(wanted.size());
  EXPECT_TRUE(content(path("target")) == wanted) << "zeros to the end of the block, and then what was there";
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
  EXPECT_THAT(none.err,
              HasSubstr("  while: reading the super block; blobstore load on file0; spdkio blob ls " + disk_));
  EXPECT_EQ(run({"eat", disk_}).code, 2);
  EXPECT_EQ(run({"cp", disk_, "a", "b"}).code, 2);
  EXPECT_EQ(run({"cp", disk_, "blob:new", path("out")}).code, 2);
  EXPECT_EQ(run({"cp", disk_, "blob:x", path("out")}).code, 2);
  EXPECT_EQ(run({"create", disk_, "--cluster-size", "many"}).code, 2);
}

}  // namespace
}  // namespace spdkio::tool
