// Stores that go from SPDK to this library and back. The same scripts run on both sides; exchange/README.md says how,
// and how the images were recorded. With SPDKIO_SPDK_SIDE set to the program that runs them with SPDK, stores are made
// and changed anew; without it the recorded ones are used.
#include <spdkio/base/log.hpp>
#include <spdkio/base/unique_fd.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "blob/test_disk.hpp"
#include "test_image.hpp"

namespace spdkio::blob::test {
namespace {

using ::testing::IsEmpty;

constexpr std::size_t image_bytes = std::size_t{4} << 20;
constexpr std::size_t parent_cluster = 16384;

std::string text_of(const std::vector<std::byte>& value) {
  return {reinterpret_cast<const char*>(value.data()), value.size()};
}
std::span<const std::byte> bytes_of(const std::string& value) { return std::as_bytes(std::span(value)); }

class ExchangeTest : public StoreTest {
 protected:
  static std::string script(const std::string& name) {
    std::ifstream file(SPDKIO_EXCHANGE_DIR "/" + name);
    std::stringstream text;
    text << file.rdbuf();
    if (text.str().empty()) throw std::runtime_error("no script " + name);
    return text.str();
  }
  static std::string image(const std::string& name) { return SPDKIO_EXCHANGE_DIR "/" + name; }

  /// The device that the blobs with an external snapshot start from.
  void plug_in_parent() {
    auto media = std::make_shared<Media>(6 * parent_cluster);
    for (std::size_t i = 0; i < media->bytes.size(); ++i) {
      media->bytes[i] = static_cast<std::byte>(0xA0 + i / parent_cluster);
    }
    block_on(engine_.bdevs().register_device(std::make_unique<TestDisk>("parent", std::move(media))));
  }
  void load(std::vector<std::byte> bytes) {
    media_ = std::make_shared<Media>(bytes.size());
    media_->bytes = std::move(bytes);
    store_ = block_on(Blobstore::load(plug_in(media_)));
    for (const DamagedBlob& blob : store_.damaged()) ADD_FAILURE() << to_string(blob.id) << ": " << blob.reason;
  }
  void unload() {
    block_on(store_.unload());
    store_ = Blobstore{};
  }

  BlobId find(const std::string& name) {
    for (const BlobId id : store_.blobs()) {
      Blob blob = block_on(store_.open(id));
      const auto value = blob.xattr("name");
      block_on(blob.close());
      if (value && text_of(*value) == name) return id;
    }
    return {};
  }
  /// What SPDK left free is free: none of it belongs to a blob.
  void fill_all_free_clusters() {
    const std::string name = "rest";
    const XattrView xattrs[] = {{.name = "name", .value = bytes_of(name)}};
    const auto count = store_.free_clusters();
    block_on(store_.create({.num_clusters = count, .thin = false, .xattrs = xattrs}));
    with(name, [&](Blob& blob) { fill(store_, blob, 0, count * store_.cluster_size(), 0xFF); });
  }
  template <class F>
  void with(const std::string& name, F&& use) {
    const BlobId id = find(name);
    ASSERT_TRUE(id.valid()) << "there is no blob " << name;
    Blob blob = block_on(store_.open(id));
    use(blob);
    block_on(blob.close());
  }

  void run(const std::string& text) {
    std::istringstream lines(text);
    std::string line;
    while (std::getline(lines, line)) {
      SCOPED_TRACE(line);
      std::istringstream words(line);
      std::string op, a, b, c, d;
      words >> op >> a >> b >> c >> d;
      ASSERT_NO_THROW(change(op, a, b, c, d));
      if (HasFatalFailure()) return;
    }
  }
  static std::uint64_t number(const std::string& text) { return std::stoull(text, nullptr, 0); }

  void change(const std::string& op, const std::string& a, const std::string& b, const std::string& c,
              const std::string& d) {
    const XattrView named_a[] = {{.name = "name", .value = bytes_of(a)}};
    const XattrView named_b[] = {{.name = "name", .value = bytes_of(b)}};
    if (op == "init") {
      media_ = std::make_shared<Media>(image_bytes);
      store_ = block_on(Blobstore::init(plug_in(media_), {.cluster_size = static_cast<std::uint32_t>(number(a)),
                                                          .metadata_pages = static_cast<std::uint32_t>(number(b)),
                                                          .type = "exchange",
                                                          .clear_method = ClearMethod::none}));
    } else if (op == "create") {
      block_on(store_.create({.num_clusters = number(c),
                              .thin = b == "thin",
                              .xattrs = named_a,
                              .external_snapshot = b == "external" ? std::string_view("parent") : std::string_view()}));
    } else if (op == "write") {
      with(a, [&](Blob& blob) { fill(store_, blob, number(b), number(c), static_cast<std::uint8_t>(number(d))); });
    } else if (op == "unmap") {
      with(a, [&](Blob& blob) {
        BlobChannel channel = store_.io_channel();
        block_on(blob.unmap(channel, {ByteOffset{number(b)}, ByteCount{number(c)}}));
      });
    } else if (op == "xattr" || op == "long_xattr") {
      with(a, [&](Blob& blob) { blob.set_xattr(b, op == "xattr" ? c : std::string(number(c), 'x')); });
    } else if (op == "snapshot") {
      block_on(store_.snapshot(find(a), named_b));
    } else if (op == "clone") {
      block_on(store_.clone(find(a), named_b));
    } else if (op == "delete") {
      block_on(store_.remove(find(a)));
    } else if (op == "inflate") {
      with(a, [&](Blob& blob) { block_on(blob.inflate()); });
    } else if (op == "resize") {
      with(a, [&](Blob& blob) { block_on(blob.resize(number(b))); });
    } else if (op == "read_only") {
      with(a, [&](Blob& blob) { block_on(blob.set_read_only()); });
    } else if (op == "super") {
      block_on(store_.set_super_blob(find(a)));
    } else {
      check(op, a, b, c, d);
    }
  }

  void check(const std::string& op, const std::string& a, const std::string& b, const std::string& c,
             const std::string& d) {
    if (op == "expect") {
      with(a, [&](Blob& blob) {
        const auto found = content(store_, blob, number(b), number(c));
        EXPECT_TRUE(std::ranges::all_of(found, [&](std::byte value) { return value == std::byte(number(d)); }));
      });
    } else if (op == "expect_xattr" || op == "expect_long_xattr") {
      with(a, [&](Blob& blob) {
        const auto value = blob.xattr(b);
        ASSERT_TRUE(value);
        EXPECT_EQ(text_of(*value), op == "expect_xattr" ? c : std::string(number(c), 'x'));
      });
    } else if (op == "expect_blob") {
      with(a, [&](Blob& blob) {
        EXPECT_EQ(blob.thin(), b == "thin");
        EXPECT_EQ(blob.num_clusters(), number(c));
        EXPECT_EQ(blob.external_snapshot(), d == "external" ? "parent" : "");
        EXPECT_EQ(blob.parent(), d == "external" || d == "none" ? BlobId{} : find(d));
      });
    } else if (op == "expect_none") {
      EXPECT_FALSE(find(a).valid());
    } else if (op == "expect_super") {
      EXPECT_EQ(store_.super_blob(), find(a));
    } else {
      FAIL() << "unknown line";
    }
  }

  std::shared_ptr<Media> media_;
  Blobstore store_;
};

TEST_F(ExchangeTest, MadeBySpdkAndUnloaded) {
  load(read_image(image("made_by_spdk.image")));
  EXPECT_FALSE(store_.recovered());
  const auto free = store_.free_clusters();
  run(script("check.script"));
  unload();
  // The masks that SPDK wrote and what the blobs say are the same.
  store_ = block_on(Blobstore::load("disk0", {.recover = true}));
  EXPECT_EQ(store_.free_clusters(), free);
  run(script("change.script"));
  run(script("check_changed.script"));
  unload();
  load(media_->bytes);
  EXPECT_FALSE(store_.recovered());
  run(script("check_changed.script"));
  unload();
}

TEST_F(ExchangeTest, MadeBySpdkAndKilled) {
  plug_in_parent();
  load(read_image(image("killed_spdk.image")));
  EXPECT_TRUE(store_.recovered());
  run(script("check.script"));
  run(script("check_external.script"));
  run(script("change.script"));
  run(script("check_changed.script"));
  unload();
}

TEST_F(ExchangeTest, MadeHereAndChangedBySpdk) {
  load(read_image(image("made_here_changed_by_spdk.image")));
  EXPECT_FALSE(store_.recovered());
  run(script("check_changed.script"));
  fill_all_free_clusters();
  run(script("check_changed.script"));
  unload();
}

TEST_F(ExchangeTest, WhatIsMadeHereIsWhatSpdkWasGiven) {
  // The images that SPDK has read: byte for byte what this library still writes.
  run(script("make.script"));
  unload();
  EXPECT_TRUE(media_->bytes == read_image(image("made_here.image")))
      << "the format of new stores has changed: let SPDK read one again, and record it, as exchange/README.md says";
}

TEST_F(ExchangeTest, ScriptsHere) {
  plug_in_parent();
  run(script("make.script"));
  run(script("make_external.script"));
  run(script("check.script"));
  run(script("check_external.script"));
  run(script("change.script"));
  run(script("check_changed.script"));
  unload();
}

/// With SPDK itself.
class LiveExchangeTest : public ExchangeTest {
 protected:
  void SetUp() override {
    const char* program = std::getenv("SPDKIO_SPDK_SIDE");
    if (program == nullptr) GTEST_SKIP() << "SPDKIO_SPDK_SIDE names no program";
    program_ = program;
    std::string pattern = (std::filesystem::temp_directory_path() / "spdkio-exchange-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
    StoreTest::TearDown();
  }
  /// Runs scripts with SPDK on a disk with this content; gives what is there after it.
  std::vector<std::byte> with_spdk(const std::vector<std::byte>& before, const std::string& text) {
    const auto disk = folder_ / "disk", lines = folder_ / "script";
    std::ofstream(disk, std::ios::binary)
        .write(reinterpret_cast<const char*>(before.data()), static_cast<std::streamsize>(before.size()));
    std::ofstream(lines) << text;
    const std::string command = program_ + " " + disk.string() + " < " + lines.string();
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    std::ifstream file(disk, std::ios::binary);
    std::vector<std::byte> after(before.size());
    file.read(reinterpret_cast<char*>(after.data()), static_cast<std::streamsize>(after.size()));
    return after;
  }
  /// For the images that are kept.
  static void record(const std::string& name, const std::vector<std::byte>& bytes) {
    if (const char* to = std::getenv("SPDKIO_RECORD")) write_image(std::string(to) + "/" + name, bytes);
  }
  std::string program_;
  std::filesystem::path folder_;
};

TEST_F(LiveExchangeTest, FromSpdk) {
  const std::vector<std::byte> empty(image_bytes);
  const auto made = with_spdk(empty, script("make.script") + "unload\n");
  record("made_by_spdk.image", made);
  load(made);
  run(script("check.script"));
  run(script("change.script"));
  unload();
  with_spdk(media_->bytes, "load\n" + script("check_changed.script") + "unload\n");
}

TEST_F(LiveExchangeTest, FromSpdkKilled) {
  const std::vector<std::byte> empty(image_bytes);
  load(with_spdk(empty, script("make.script") + "crash\n"));
  EXPECT_TRUE(store_.recovered());
  run(script("check.script"));
  run(script("change.script"));
  // And back without an unload.
  with_spdk(media_->bytes, "load\n" + script("check_changed.script") + "unload\n");
  unload();
}

TEST_F(LiveExchangeTest, ToSpdkAndBack) {
  run(script("make.script"));
  const std::vector<std::byte> dirty = media_->bytes;
  unload();
  record("made_here.image", media_->bytes);
  with_spdk(dirty, "load\n" + script("check.script") + "unload\n");
  const auto changed =
      with_spdk(media_->bytes, "load\n" + script("check.script") + script("change.script") + "unload\n");
  record("made_here_changed_by_spdk.image", changed);
  load(changed);
  EXPECT_FALSE(store_.recovered());
  run(script("check_changed.script"));
  unload();
}

}  // namespace
}  // namespace spdkio::blob::test
