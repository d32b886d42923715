// SubsystemChange: what SPDK lets change only while a subsystem is paused or inactive.
#pragma once

#include <spdk/nvmf.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "engine_spdk/control.hpp"
#include "engine_spdk/spdk_log.hpp"

namespace spdkio::spdk {

/// Pauses the subsystem, makes the change, and lets it go on. All in SPDK's callbacks: what SPDK does with the
/// subsystem by itself (a namespace whose device has gone) is before or after it. As the app thread.
class SubsystemChange {
 public:
  /// Makes the change and calls `done`, now or later.
  using Step = std::function<void(SubsystemChange&)>;
  enum class Now : std::uint8_t { inactive, active, paused };

  /// Ends with `Control::Call::finish(call, rc)`. `said` gets what SPDK logs in the step, and lives until then.
  static void begin(spdk_nvmf_subsystem* subsystem, Now now, std::uint32_t nsid, Step step, std::string& said,
                    void* call) {
    auto* const change = new SubsystemChange(subsystem, now, std::move(step), said, call);
    if (now != Now::active) return change->run();
    const int rc = ::spdk_nvmf_subsystem_pause(subsystem, nsid, paused, change);
    if (rc != 0) change->finish(rc);
  }

  /// `rc` is 0 or a negative errno.
  void done(int rc) noexcept {
    rc_ = rc;
    if (now_ != Now::active) return finish(rc);
    const int resuming = ::spdk_nvmf_subsystem_resume(subsystem_, resumed, this);
    if (resuming != 0) finish(rc != 0 ? rc : resuming);
  }
  /// `done` as a callback of SPDK's.
  static void on_done(void* change, int rc) noexcept { static_cast<SubsystemChange*>(change)->done(rc); }

 private:
  SubsystemChange(spdk_nvmf_subsystem* subsystem, Now now, Step step, std::string& said, void* call)
      : subsystem_(subsystem), now_(now), step_(std::move(step)), said_(said), call_(call) {}

  static void paused(spdk_nvmf_subsystem*, void* arg, int status) noexcept {
    auto& self = *static_cast<SubsystemChange*>(arg);
    if (status != 0) return self.finish(status);
    self.run();
  }
  static void resumed(spdk_nvmf_subsystem*, void* arg, int status) noexcept {
    auto& self = *static_cast<SubsystemChange*>(arg);
    self.finish(self.rc_ != 0 ? self.rc_ : status);
  }
  void run() noexcept {
    const LogCapture capture(said_);
    step_(*this);
  }
  void finish(int rc) noexcept {
    const std::unique_ptr<SubsystemChange> own(this);
    Control::Call::finish(call_, rc);
  }

  spdk_nvmf_subsystem* const subsystem_;
  const Now now_;
  const Step step_;
  std::string& said_;
  void* const call_;
  int rc_ = 0;
};

}  // namespace spdkio::spdk
