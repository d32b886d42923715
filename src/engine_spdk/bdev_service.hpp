// SpdkBdevs: the block devices of the engine, SPDK's and ours under one roof.
#pragma once

#include <spdkio/bdev/service.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bdev/registry.hpp"
#include "engine_spdk/control.hpp"
#include "engine_spdk/exported_bdev.hpp"
#include "engine_spdk/spdk_device.hpp"

namespace spdkio::spdk {

/// Every bdev that SPDK registers appears here, and every Device that a program registers appears in SPDK.
class SpdkBdevs final : public bdev::Service, BdevEvents {
 public:
  explicit SpdkBdevs(Control& control);
  SpdkBdevs(const SpdkBdevs&) = delete;
  SpdkBdevs& operator=(const SpdkBdevs&) = delete;
  ~SpdkBdevs();

  std::shared_ptr<bdev::DeviceState> find(std::string_view name) const override { return registry_.find(name); }
  std::vector<std::shared_ptr<bdev::DeviceState>> list() const override { return registry_.list(); }
  Task<std::shared_ptr<bdev::DeviceState>> wait_for(std::string name, std::chrono::nanoseconds limit) override {
    return registry_.wait_for(std::move(name), limit);
  }
  Task<std::shared_ptr<bdev::DeviceState>> register_device(std::unique_ptr<bdev::Device> device) override;
  Task<> unregister_device(std::string name) override;
  void notify_resize(const std::string& name, BlockCount num_blocks) override;
  void set_aliases(const std::string& name, std::vector<std::string> aliases) override {
    registry_.set_aliases(name, std::move(aliases));
  }
  void add_examiner(std::shared_ptr<bdev::Examiner> examiner) override { registry_.add_examiner(std::move(examiner)); }
  void remove_examiner(const bdev::Examiner& examiner) noexcept override { registry_.remove_examiner(examiner); }

  /// As the app thread: SPDK has registered a bdev.
  static void appeared(spdk_bdev& bdev) noexcept;

 private:
  void bdev_removed(const std::string& name) override;
  void bdev_resized(const std::string& name, BlockCount num_blocks) override;
  void bdev_media(const std::string& name, LbaRange range) override;
  Task<> remove(std::string name);
  Task<> await_spdk_examine(std::string name);
  Task<> unexport(std::string name);
  Task<> unregister_spdk_bdev(std::string name, spdk_bdev* bdev);

  Control& control_;
  bdev::Registry registry_;
  std::mutex mutex_;
  std::unordered_map<std::string, ExportedBdev*> exported_;
  std::unordered_map<std::string, SpdkDevice*> spdk_devices_;
};

}  // namespace spdkio::spdk
