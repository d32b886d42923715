// LvolStore: a Blobstore whose blobs are logical volumes, in the way of SPDK's lvol module.
#pragma once

#include <spdkio/bdev/desc_state.hpp>
#include <spdkio/bdev/device_state.hpp>
#include <spdkio/blob/blobstore.hpp>
#include <spdkio/runtime/mutex.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::lvol {

/// What every store of logical volumes has as its type.
inline constexpr std::string_view store_type = "LVOLSTORE";

/// A volume, registered as a block device or not: one whose external snapshot is missing is not.
struct Lvol {
  blob::BlobId id;
  std::string name;
  Uuid uuid;
  bool registered = false;
};

/// On the Thread that made it. The super blob holds name and UUID of the store, and each blob those of its volume, as
/// xattrs that end with a zero byte.
class LvolStore final : public bdev::BaseObserver, public std::enable_shared_from_this<LvolStore> {
 public:
  struct Options {
    std::string name;
    std::uint32_t cluster_size = 4 << 20;
    std::uint32_t metadata_pages_per_100_clusters = 100;
    std::uint32_t md_page_size = 0;
    blob::ClearMethod clear_method = blob::ClearMethod::by_default;
  };
  static Task<std::shared_ptr<LvolStore>> create(std::string bdev, Options options);
  /// Loads it; the volumes are registered by `register_all`. Throws what Blobstore::load throws.
  static Task<std::shared_ptr<LvolStore>> load(std::string bdev);
  Task<> register_all();
  /// Unregisters the volumes and unloads.
  Task<> close();
  /// The same, and nothing is left on the device. EBUSY while a shallow copy runs.
  Task<> destroy();
  bool closed() const noexcept { return closed_; }

  const std::string& name() const noexcept { return name_; }
  const Uuid& uuid() const noexcept { return uuid_; }
  const blob::Blobstore& blobs() const noexcept { return blobs_; }
  const std::map<blob::BlobId, Lvol>& lvols() const noexcept { return lvols_; }
  /// Empty for a blob that is no volume.
  std::string name_of(blob::BlobId id) const;
  /// How large the device may become without a new store.
  std::uint64_t max_growable_bytes() const;

  // ---- changes; each gives the UUID of the volume that it makes
  Task<Uuid> create_lvol(std::string name, std::uint64_t bytes, bool thin, blob::ClearMethod clear);
  Task<Uuid> snapshot(blob::BlobId of, std::string name);
  Task<Uuid> clone(blob::BlobId of, std::string name);
  /// A volume that starts with the content of any block device.
  Task<Uuid> clone_bdev(std::shared_ptr<bdev::DeviceState> device, std::string name);
  /// What a thin volume has no clusters for comes from a snapshot of the store, or from a block device, from now on.
  Task<> set_parent(blob::BlobId id, blob::BlobId snapshot);
  Task<> set_parent_bdev(blob::BlobId id, std::shared_ptr<bdev::DeviceState> device);
  /// What a read-only volume has allocated itself, to the same places of a device. The volume can't be deleted
  /// meanwhile.
  Task<> shallow_copy(blob::BlobId id, std::string bdev, blob::CopyProgress& progress);
  /// The devices get other aliases, open or not. EEXIST when another device has one of them.
  Task<> rename(std::string name);
  Task<> rename_lvol(blob::BlobId id, std::string name);
  Task<> resize(blob::BlobId id, std::uint64_t bytes);
  /// Also of a volume that is open: its writes fail from then on.
  Task<> set_read_only(blob::BlobId id);
  Task<> inflate(blob::BlobId id, bool decouple);
  Task<> remove(blob::BlobId id);
  Task<> grow();
  /// Tries to register the volumes that were waiting for this device.
  Task<> look_for_external(const bdev::DeviceState& device);

  /// From the device of a volume: it is no longer registered.
  void device_is_gone(blob::BlobId id) noexcept;

 private:
  LvolStore() = default;
  Task<> base_removed() override;
  void base_resized(BlockCount) noexcept override {}

  void watch_base();
  Task<> write_names();
  Task<> read_names();
  Task<> register_lvol(Lvol& lvol);
  Task<> unregister_lvol(Lvol& lvol);
  Task<> unregister_all();
  Task<Uuid> adopt(blob::BlobId id, std::string name, Uuid uuid);
  Lvol& get(blob::BlobId id);
  void require_free(const std::string& name) const;
  static bool is_open(const Lvol& lvol);
  /// Gives the volume's device the alias `store/name`.
  static void show_as(const Lvol& lvol, const std::string& store, const std::string& name);
  /// After a change of name that failed.
  void show_as_before() const noexcept;
  /// Throws when what `device` has comes from a volume of this store.
  void require_no_circle(const bdev::DeviceState& device) const;
  /// Throws unless its size is a whole number of clusters.
  std::uint64_t clusters_of(const bdev::DeviceState& device) const;
  Task<> set_name(blob::BlobId id, std::string name);
  /// The open blob of a registered volume, or one opened for `use`.
  template <class F>
  Task<> with_blob(blob::BlobId id, F use);

  std::string name_;
  Uuid uuid_;
  blob::BlobId super_;
  blob::Blobstore blobs_;
  std::map<blob::BlobId, Lvol> lvols_;
  std::shared_ptr<bdev::DescState> watcher_;
  Mutex changing_;
  unsigned copies_ = 0;  ///< shallow copies that run
  bool closed_ = false;
};

}  // namespace spdkio::lvol
