// LvolStores: all stores of logical volumes of an application.
#pragma once

#include <spdkio/bdev/service.hpp>
#include <spdkio/runtime/scope.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lvol/lvol_store.hpp"

namespace spdkio::rpc {
class MethodTable;
}

namespace spdkio::lvol {

/// On one Thread. Looks at every block device that is registered: a store on it is loaded, and its volumes become block
/// devices; volumes that waited for it as their external snapshot do too.
class LvolStores final : public bdev::Examiner {
 public:
  LvolStores() = default;
  LvolStores(const LvolStores&) = delete;

  /// From then on new devices are looked at. The current Thread is the one for everything.
  void start();
  /// Stores on new devices are left alone when it is off.
  void set_examining(bool on) noexcept { examining_ = on; }
  /// Unloads all stores, the newest first.
  Task<> stop();

  std::vector<std::shared_ptr<LvolStore>> all();
  Task<std::shared_ptr<LvolStore>> create(std::string bdev, LvolStore::Options options);
  Task<> remove(std::shared_ptr<LvolStore> store);
  Task<> rename(std::shared_ptr<LvolStore> store, std::string name);
  /// Begins a copy that goes on by itself, and gives its number. Throws what can be known beforehand.
  std::uint32_t start_shallow_copy(const std::string& lvol, std::string bdev);
  struct ShallowCopy {
    blob::CopyProgress progress;
    bool ended = false;
    std::optional<Error> failure;
  };
  /// How far it is; it is forgotten when it has ended. Throws ENODEV when there is none of that number.
  ShallowCopy check_shallow_copy(std::uint32_t number);

  /// By name, or UUID. Throws ENODEV.
  std::shared_ptr<LvolStore> find_by_name(const std::string& name);
  std::shared_ptr<LvolStore> find_by_uuid(const std::string& uuid);
  /// A volume by UUID or "store/volume". Throws ENODEV.
  std::pair<std::shared_ptr<LvolStore>, blob::BlobId> find_lvol(const std::string& name);

 private:
  Task<> examine(std::shared_ptr<bdev::DeviceState> device) override;
  static Task<> run_shallow_copy(std::shared_ptr<LvolStore> store, blob::BlobId id, std::string bdev,
                                 ShallowCopy& copy);
  Task<> examine_here(std::shared_ptr<bdev::DeviceState> device);
  void require_free(const std::string& name);

  std::optional<ThreadHandle> home_;
  bool examining_ = true;
  std::vector<std::shared_ptr<LvolStore>> stores_;
  std::unique_ptr<Scope> copying_;
  std::map<std::uint32_t, ShallowCopy> copies_;
  std::uint32_t last_copy_ = 0;
};

/// The `bdev_lvol_*` methods, with SPDK's names, parameters and results.
void register_methods(rpc::MethodTable& table, LvolStores& stores);

}  // namespace spdkio::lvol
