// PendingBases: devices that were asked for before the device they stand on was there.
#pragma once

#include <spdkio/bdev/service.hpp>
#include <spdkio/runtime/task.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::bdev {

/// One per module. A configuration may name devices in any order, so that a module's create method keeps what it can't
/// make yet, and makes it when the base is registered. Any Thread.
class PendingBases final : public Examiner, public std::enable_shared_from_this<PendingBases> {
 public:
  using Make = std::function<Task<>()>;

  /// Makes the device now, or when `base` appears if that is all that is missing; says which in the log.
  /// Throws EEXIST when one of that name waits already.
  static Task<> make_or_wait(std::shared_ptr<PendingBases> self, std::string name, std::string base, Make make);
  /// Forgets a device that still waits. False when none of that name does.
  bool forget(std::string_view name);
  /// A failure to make a device is logged: whoever registers the base is not to blame.
  Task<> examine(std::shared_ptr<DeviceState> device) override;

 private:
  struct Waiting {
    std::string name;
    std::string base;
    Make make;
  };
  void add(Waiting waiting);
  std::vector<Waiting> take_for(const DeviceState& device);

  std::mutex mutex_;
  bool examines_ = false;
  std::vector<Waiting> waiting_;
};

}  // namespace spdkio::bdev
