// Registry: the block devices of this process, for engines that have no block layer of their own.
#pragma once

#include <spdkio/bdev/service.hpp>
#include <spdkio/runtime/thread.hpp>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::bdev {

class Registry final : public Service {
 public:
  Registry() = default;
  Registry(const Registry&) = delete;
  /// Reports devices that are still registered; `unregister_all` first.
  ~Registry();

  std::shared_ptr<DeviceState> find(std::string_view name) const override;
  std::vector<std::shared_ptr<DeviceState>> list() const override;
  Task<std::shared_ptr<DeviceState>> wait_for(std::string name, std::chrono::nanoseconds limit) override;
  Task<std::shared_ptr<DeviceState>> register_device(std::unique_ptr<Device> device) override;
  /// The two halves of `register_device`: the device is known when `add` returns; `examine` tells who wants to hear.
  std::shared_ptr<DeviceState> add(std::unique_ptr<Device> device);
  Task<> examine(std::shared_ptr<DeviceState> state);
  Task<> unregister_device(std::string name) override;
  void notify_resize(const std::string& name, BlockCount num_blocks) override;
  void set_aliases(const std::string& name, std::vector<std::string> aliases) override;
  void add_examiner(std::shared_ptr<Examiner> examiner) override;
  void remove_examiner(const Examiner& examiner) noexcept override;

  /// Removes every device, the newest first, so that those built on others go before their bases.
  Task<> unregister_all();

 private:
  std::shared_ptr<DeviceState> find_locked(std::string_view name) const;
  void take_out_locked(const std::shared_ptr<DeviceState>& state);
  /// All or none: throws EEXIST for the first that is taken.
  void take_names_locked(const std::vector<std::string>& names, DeviceState& state, const char* operation);

  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<DeviceState>> devices_;
  /// Names and aliases.
  std::map<std::string, DeviceState*, std::less<>> by_name_;
  std::vector<std::shared_ptr<Examiner>> examiners_;
};

}  // namespace spdkio::bdev
