// TargetBackend: what stands behind a Target: the library's own, or an engine's.
#pragma once

#include <spdkio/nvmf/target.hpp>
#include <spdkio/runtime/thread.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nvmf/transport_settings.hpp"

namespace spdkio::nvmf {

/// On the Thread that made it, unless noted.
class TargetBackend {
 public:
  explicit TargetBackend(std::string name);
  TargetBackend(const TargetBackend&) = delete;
  TargetBackend& operator=(const TargetBackend&) = delete;
  virtual ~TargetBackend();

  /// Makes `target` with its poll threads and discovery subsystem, and known by its name.
  static Task<> open_and_add(std::shared_ptr<TargetBackend> target, std::string mask);

  // ---- any thread
  const std::string& name() const noexcept { return name_; }
  const ThreadHandle& home() const noexcept { return home_; }
  bool destroyed() const noexcept { return destroyed_.load(std::memory_order_acquire); }
  /// Throws Misuse::wrong_thread, or ENODEV once destroyed.
  void require_home(const char* operation) const;

  virtual std::uint32_t max_subsystems() const noexcept = 0;
  virtual Task<> destroy() = 0;

  virtual Task<> add_transport(nvme::TransportType type, TransportSettings settings) = 0;
  /// Null: it has none of that type.
  virtual const TransportSettings* transport(nvme::TransportType type) const noexcept = 0;

  virtual Task<std::shared_ptr<SubsystemBackend>> create(std::string nqn, SubsystemOptions options) = 0;
  /// The discovery subsystem first.
  virtual std::vector<std::shared_ptr<SubsystemBackend>> list() const = 0;

  /// Throws EEXIST, and Misuse::invalid_argument for an address that no host could use.
  void add_referral(Referral referral);
  /// Throws ENOENT.
  void remove_referral(const nvme::TransportId& where);
  const std::vector<Referral>& referrals() const noexcept { return referrals_; }

  virtual void set_admission(AdmissionHook hook) = 0;
  virtual Task<std::optional<HostEvent>> next_host_event() = 0;
  virtual Task<std::vector<ConnectionStats>> connections() = 0;
  virtual Task<std::vector<PollGroupStats>> poll_groups() = 0;

  /// Those of this OS thread that have not been destroyed: a target belongs to a Thread, and that to an OS thread.
  static std::vector<std::shared_ptr<TargetBackend>> all();

 protected:
  static void add(std::shared_ptr<TargetBackend> target);
  static void remove(const TargetBackend& target) noexcept;
  /// `mask` is TargetOptions::poll_groups_mask. What it has made goes with `destroy` when it fails.
  virtual Task<> open(std::string mask) = 0;
  /// What is listed has changed.
  virtual void referral_added(const Referral& referral) = 0;
  virtual void referral_removed(const Referral& referral) = 0;
  void set_destroyed() noexcept { destroyed_.store(true, std::memory_order_release); }
  /// Without a word to `referral_removed`.
  void drop_referral(const nvme::TransportId& where) noexcept;

 private:
  const std::string name_;
  const ThreadHandle home_;
  std::atomic<bool> destroyed_{false};
  std::vector<Referral> referrals_;
};

}  // namespace spdkio::nvmf
