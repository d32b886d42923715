// LvolStores: all stores of logical volumes of an application.
#pragma once

#include <spdkio/bdev/service.hpp>

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
  /// By name, or UUID. Throws ENODEV.
  std::shared_ptr<LvolStore> find_by_name(const std::string& name);
  std::shared_ptr<LvolStore> find_by_uuid(const std::string& uuid);
  /// A volume by UUID or "store/volume". Throws ENODEV.
  std::pair<std::shared_ptr<LvolStore>, blob::BlobId> find_lvol(const std::string& name);

 private:
  Task<> examine(std::shared_ptr<bdev::DeviceState> device) override;
  Task<> examine_here(std::shared_ptr<bdev::DeviceState> device);
  void require_free(const std::string& name);

  std::optional<ThreadHandle> home_;
  bool examining_ = true;
  std::vector<std::shared_ptr<LvolStore>> stores_;
};

/// The `bdev_lvol_*` methods, with SPDK's names, parameters and results.
void register_methods(rpc::MethodTable& table, LvolStores& stores);

}  // namespace spdkio::lvol
