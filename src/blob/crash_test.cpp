// Power cuts. A random workload runs on a disk that remembers every write and flush. Then the power is cut after each
// of them: what was not flushed is there in any part, in blocks of 512 bytes. The store must load, and hold all that
// had been made durable; of the step that was going on, all or nothing.
#include <spdkio/base/log.hpp>
#include <spdkio/blob/blobstore.hpp>

#include <array>
#include <functional>
#include <map>

#include "blob/test_disk.hpp"

namespace spdkio::blob::test {
namespace {

constexpr std::uint32_t small_cluster = 8192;
constexpr std::size_t small_disk = 1 << 20;
constexpr std::size_t blocks_per_cluster = small_cluster / 512;
constexpr int anything = -1;

/// A value for each block of a cluster, which fills it.
using ClusterValues = std::array<int, blocks_per_cluster>;

struct BlobModel {
  std::uint64_t clusters = 0;
  bool thin = false;
  bool read_only = false;
  std::string parent;
  std::string note;
  std::map<std::uint64_t, ClusterValues> values;  ///< where it was written
  ClusterValues at(std::uint64_t index) const {
    const auto found = values.find(index);
    if (found != values.end()) return found->second;
    ClusterValues rest;
    rest.fill(thin ? 0 : anything);
    return rest;
  }
  bool same_metadata(const BlobModel& other) const {
    return clusters == other.clusters && thin == other.thin && read_only == other.read_only && parent == other.parent &&
           note == other.note;
  }
};
using Model = std::map<std::string, BlobModel>;

struct Step {
  std::size_t changes = 0;  ///< that had been made when it had ended
  std::string what;
  Model model;
  BlobId super_blob;
};

class CrashTest : public StoreTest, public ::testing::WithParamInterface<int> {
 protected:
  void SetUp() override { log::set_level(log::Level::critical); }
  void TearDown() override {
    log::set_level(log::Level::info);
    StoreTest::TearDown();
  }
  std::uint64_t below(std::uint64_t end) { return random_() % end; }
  std::string pick() {
    if (model_.empty()) return {};
    auto at = model_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(below(model_.size())));
    return at->first;
  }
  static std::span<const std::byte> text(const std::string& value) { return std::as_bytes(std::span(value)); }

  // ---- the workload
  void run_workload(Blobstore& store, Media& media, int steps) {
    ended(media, "init");
    for (int i = 0; i < steps; ++i) {
      std::string what;
      try {
        what = one_step(store);
      } catch (const Error& error) {
        // Full, or a snapshot with clones: nothing has changed.
        ASSERT_TRUE(error.code() == std::errc::no_space_on_device || error.code() == std::errc::device_or_resource_busy)
            << error.what();
        model_ = steps_.back().model;
        what = "refused";
      }
      ended(media, what);
    }
  }
  void ended(const Media& media, std::string what) {
    steps_.push_back({media.changes.size(), std::move(what), model_, super_});
  }

  std::string one_step(Blobstore& store) {
    const std::string name = pick();
    const std::uint64_t choice = below(16);
    if (name.empty() || choice < 2) return create_blob(store);
    if (choice == 15) {
      block_on(store.set_super_blob(ids_[name]));
      super_ = ids_[name];
      return "super blob";
    }
    const BlobId id = ids_[name];
    BlobModel& blob = model_[name];
    if (choice == 2) {
      block_on(store.remove(id));
      for (auto& [other, child] : model_) {
        if (child.parent == name) child.parent = blob.parent;
      }
      model_.erase(name);
      return "remove " + name;
    }
    if (choice == 3) return snapshot(store, name);
    if (choice == 4 && blob.read_only) {
      const std::string made = new_name();
      const XattrView xattrs[] = {{.name = "name", .value = text(made)}};
      ids_[made] = block_on(store.clone(id, xattrs));
      BlobModel copy = blob;
      copy.parent = name;
      copy.read_only = false;
      copy.thin = true;
      copy.note.clear();
      for (std::uint64_t i = 0; i < copy.clusters && !blob.thin; ++i) copy.values[i] = blob.at(i);
      model_[made] = copy;
      return "clone " + name;
    }
    if (blob.read_only) return "nothing";
    Blob open = block_on(store.open(id));
    std::exception_ptr failure;
    std::string what;
    try {
      what = change(store, open, name, blob, choice);
    } catch (...) {
      failure = std::current_exception();
    }
    block_on(open.close());
    if (failure) std::rethrow_exception(failure);
    return what;
  }
  std::string new_name() { return "blob" + std::to_string(names_++); }

  std::string create_blob(Blobstore& store) {
    const std::string name = new_name();
    const XattrView xattrs[] = {{.name = "name", .value = text(name)}};
    BlobModel blob;
    blob.thin = below(3) != 0;
    blob.clusters = blob.thin && below(3) == 0 ? 1100 + below(200) : below(12);
    ids_[name] = block_on(store.create({.num_clusters = blob.clusters, .thin = blob.thin, .xattrs = xattrs}));
    model_[name] = blob;
    return "create " + name;
  }
  std::string snapshot(Blobstore& store, const std::string& name) {
    BlobModel& blob = model_[name];
    if (blob.read_only) return "nothing";
    const std::string made = new_name();
    const XattrView xattrs[] = {{.name = "name", .value = text(made)}};
    ids_[made] = block_on(store.snapshot(ids_[name], xattrs));
    BlobModel copy = blob;
    copy.read_only = true;
    copy.note.clear();
    model_[made] = copy;
    blob.parent = made;
    if (!blob.thin) {
      for (std::uint64_t i = 0; i < blob.clusters; ++i) blob.values[i] = copy.at(i);
    }
    blob.thin = true;
    return "snapshot " + made + " of " + name;
  }
  std::string change(Blobstore& store, Blob& open, const std::string& name, BlobModel& blob, std::uint64_t choice) {
    BlobChannel channel = store.io_channel();
    if (choice == 5) {
      const std::uint64_t clusters = below(14);
      block_on(open.resize(clusters));
      // Where a clone grows again, the snapshot shows through.
      for (std::uint64_t i = blob.clusters; i < clusters && !blob.parent.empty(); ++i) {
        const BlobModel& parent = model_[blob.parent];
        if (i < parent.clusters) blob.values[i] = parent.at(i);
      }
      blob.clusters = clusters;
      blob.values.erase(blob.values.lower_bound(clusters), blob.values.end());
      return "resize " + name + " to " + std::to_string(clusters);
    }
    if (choice == 6) {
      blob.note = std::string(1 + below(6000), static_cast<char>('a' + below(26))).substr(0, 3000);
      open.set_xattr("note", blob.note);
      block_on(open.sync());
      return "xattr of " + name;
    }
    if (choice == 7 && blob.clusters < 20) {
      const bool inflate = below(2) == 0;
      if (!inflate && blob.parent.empty()) return "nothing";
      for (std::uint64_t i = 0; inflate && blob.thin && i < blob.clusters; ++i) blob.values[i] = blob.at(i);
      block_on(inflate ? open.inflate() : open.decouple_parent());
      if (inflate) blob.thin = false;
      blob.parent = inflate ? std::string{} : model_[blob.parent].parent;
      return (inflate ? "inflate " : "decouple ") + name;
    }
    if (blob.clusters == 0) return "nothing";
    const std::uint64_t blocks = blob.clusters * blocks_per_cluster;
    std::uint64_t first = below(blocks);
    std::uint64_t count = 1 + below(std::min<std::uint64_t>(blocks - first, 3 * blocks_per_cluster));
    int value = static_cast<int>(1 + below(200));
    if (choice == 8 && blob.thin && blob.parent.empty()) {
      first = first / blocks_per_cluster * blocks_per_cluster;
      count = blocks_per_cluster * (1 + below(std::min<std::uint64_t>(3, (blocks - first) / blocks_per_cluster)));
      value = 0;
      block_on(open.unmap(channel, {ByteOffset{first * 512}, ByteCount{count * 512}}));
    } else if (choice == 9) {
      value = 0;
      block_on(open.write_zeroes(channel, {ByteOffset{first * 512}, ByteCount{count * 512}}));
    } else {
      DmaBuf data{count * 512};
      data.fill(static_cast<std::byte>(value));
      block_on(open.write(channel, data, ByteOffset{first * 512}));
    }
    block_on(open.flush(channel));
    for (std::uint64_t block = first; block < first + count; ++block) {
      const std::uint64_t index = block / blocks_per_cluster;
      ClusterValues values = blob.at(index);
      values[block % blocks_per_cluster] = value;
      blob.values[index] = values;
    }
    return "write " + name + " from block " + std::to_string(first) + ", " + std::to_string(count);
  }

  // ---- the checks
  static std::string note_of(Blob& blob, const char* name) {
    const auto value = blob.xattr(name);
    return value ? std::string(reinterpret_cast<const char*>(value->data()), value->size()) : std::string{};
  }
  void verify(Blobstore& store, const Model& before, const Model& after) {
    ASSERT_THAT(store.damaged(), ::testing::IsEmpty()) << store.damaged().front().reason;
    std::map<std::string, BlobId> found;
    std::map<BlobId, std::string> names;
    std::uint64_t allocated = 0;
    for (const BlobId id : store.blobs()) {
      Blob blob = block_on(store.open(id));
      const std::string name = note_of(blob, "name");
      allocated += blob.allocated().value / small_cluster;
      block_on(blob.close());
      names[id] = name;
      if (name == "after") continue;
      ASSERT_TRUE(found.emplace(name, id).second) << "twice: " << name;
      ASSERT_TRUE(before.contains(name) || after.contains(name)) << name << " should not be there";
    }
    ASSERT_EQ(allocated + store.free_clusters(), store.total_clusters());
    for (const auto& [name, blob] : before) {
      ASSERT_TRUE(!after.contains(name) || found.contains(name)) << name << " is lost";
    }
    BlobChannel channel = store.io_channel();
    DmaBuf data{small_cluster};
    for (const auto& [name, id] : found) {
      Blob open = block_on(store.open(id));
      BlobModel now;
      now.clusters = open.num_clusters();
      now.thin = open.thin();
      now.read_only = open.read_only();
      now.parent = open.is_clone() ? names[open.parent()] : std::string{};
      now.note = note_of(open, "note");
      const BlobModel& first = before.contains(name) ? before.at(name) : after.at(name);
      const BlobModel& second = after.contains(name) ? after.at(name) : first;
      EXPECT_TRUE(now.same_metadata(first) || now.same_metadata(second))
          << name << ": clusters " << now.clusters << " thin " << now.thin << " ro " << now.read_only << " parent "
          << now.parent << ", not " << first.clusters << first.thin << first.read_only << first.parent << " or "
          << second.clusters << second.thin << second.read_only << second.parent;
      std::set<std::uint64_t> indices;
      for (const auto& [index, values] : first.values) indices.insert(index);
      for (const auto& [index, values] : second.values) indices.insert(index);
      if (now.clusters != 0) indices.insert(below(now.clusters));
      for (const std::uint64_t index : indices) {
        if (index >= now.clusters) continue;
        block_on(open.read(channel, data, ByteOffset{index * small_cluster}));
        const ClusterValues one = first.at(index);
        const ClusterValues other = second.at(index);
        for (std::size_t block = 0; block < blocks_per_cluster; ++block) {
          const auto bytes = data.bytes().subspan(block * 512, 512);
          const int value = std::to_integer<int>(bytes[0]);
          const bool grown = index >= first.clusters || index >= second.clusters;
          const bool right = value == one[block] || value == other[block] || one[block] == anything ||
                             other[block] == anything || (grown && value == 0);
          ASSERT_TRUE(right) << name << " cluster " << index << " block " << block << ": " << value << ", not "
                             << one[block] << " or " << other[block];
          if (one[block] != anything && other[block] != anything) {
            ASSERT_EQ(std::ranges::count(bytes, bytes[0]), 512) << "a block in pieces";
          }
        }
      }
      block_on(open.close());
    }
  }

  std::mt19937_64 random_{static_cast<std::uint64_t>(GetParam()) * 7919 + 1};
  Model model_;
  BlobId super_;
  std::map<std::string, BlobId> ids_;
  std::vector<Step> steps_;
  int names_ = 0;
};

TEST_P(CrashTest, EveryCutLeavesAStoreThatLoads) {
  const auto media = std::make_shared<Media>(small_disk);
  for (auto& byte : media->bytes) byte = std::byte{0x77};  // nothing may count on zeros
  const std::string disk = plug_in(media);
  Blobstore store = block_on(
      Blobstore::init(disk, {.cluster_size = small_cluster, .metadata_pages = 48, .clear_method = ClearMethod::none}));
  if (GetParam() % 2 != 0) {
    // From a clean store: the cut may come while it is being marked as dirty.
    block_on(store.unload());
    store = block_on(Blobstore::load(disk));
  }
  const std::vector<std::byte> start = media->bytes;
  media->recording = true;
  run_workload(store, *media, 30);
  if (HasFatalFailure()) return;
  block_on(store.unload());
  const std::size_t end = media->changes.size();

  std::size_t step = 0;
  for (std::size_t cut = 0; cut <= end; ++cut) {
    while (step + 1 < steps_.size() && steps_[step + 1].changes <= cut) ++step;
    const Model& before = steps_[step].model;
    const Model& after = steps_[std::min(step + 1, steps_.size() - 1)].model;
    SCOPED_TRACE("cut after change " + std::to_string(cut) + ", after \"" + steps_[step].what + "\", in \"" +
                 steps_[std::min(step + 1, steps_.size() - 1)].what + "\"");
    const auto left = std::make_shared<Media>(small_disk);
    left->bytes = media->cut(start, cut, random_);
    const std::vector<std::byte> as_left = left->bytes;
    left->recording = true;
    const std::string name = plug_in(left);
    Blobstore loaded = block_on(Blobstore::load(name));
    verify(loaded, before, after);
    EXPECT_TRUE(loaded.super_blob() == steps_[step].super_blob ||
                loaded.super_blob() == steps_[std::min(step + 1, steps_.size() - 1)].super_blob);
    if (HasFailure()) return;

    // It is a store to work with: and the power may go again while it is used.
    const std::string mark = "after";
    const XattrView xattrs[] = {{.name = "name", .value = text(mark)}};
    try {
      Blob blob = block_on(loaded.open(block_on(loaded.create({.num_clusters = 3, .thin = true, .xattrs = xattrs}))));
      fill(loaded, blob, small_cluster - 512, 1024, 5);
      block_on(blob.close());
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), std::errc::no_space_on_device) << error.what();
    }
    block_on(loaded.unload());
    unplug(name);
    const auto again = std::make_shared<Media>(small_disk);
    again->bytes = left->cut(as_left, below(left->changes.size() + 1), random_);
    const std::string second = plug_in(again);
    SCOPED_TRACE("cut again in what came after");
    loaded = block_on(Blobstore::load(second));
    verify(loaded, before, after);
    if (HasFailure()) return;
    block_on(loaded.unload());
    unplug(second);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, CrashTest, ::testing::Range(0, 12));

}  // namespace
}  // namespace spdkio::blob::test
