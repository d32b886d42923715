// What devices that stand on another device have in common: they open and claim it, send requests on as children of
// their own, follow its size, and go when it goes.
#pragma once

#include <spdkio/bdev/bdev.hpp>
#include <spdkio/bdev/desc_state.hpp>
#include <spdkio/bdev/device.hpp>
#include <spdkio/bdev/device_state.hpp>
#include <spdkio/bdev/io_channel.hpp>
#include <spdkio/runtime/task.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace spdkio::bdev {

/// An open, claimed base. Any Thread.
class StackedBase final : public BaseObserver {
 public:
  /// Opens `base` for writing unless it is read-only, and claims it for `module`. Throws ENODEV, or EPERM naming who
  /// holds it.
  static std::shared_ptr<StackedBase> open(const std::string& base, std::string module);
  ~StackedBase();

  DeviceState& device() const noexcept { return desc_->device(); }
  /// For the current Thread; throws ENODEV after a removal.
  IoChannel io_channel() const { return IoChannel{device().acquire_slot()}; }
  /// From now on a removal of the base unregisters every device in `dependents`, and with `follow_size` they take on
  /// its size.
  void watch(std::vector<std::string> dependents, bool follow_size);
  /// The second call does nothing.
  void close() noexcept;

 private:
  StackedBase() = default;
  Task<> base_removed() override;
  void base_resized(BlockCount num_blocks) noexcept override;

  std::shared_ptr<DescState> desc_;
  std::mutex mutex_;
  bool closed_ = false;
  std::vector<std::string> dependents_;
  bool follow_size_ = false;
};

struct StackedChild;

/// Sends requests on. Each parent gets a child from a free list, so that statistics and cancellation are right on every
/// level; the list grows to the deepest queue there was and is then enough.
class StackedChannel : public Channel {
 public:
  explicit StackedChannel(const StackedBase& base);
  ~StackedChannel() override;

  void submit(Io& io) noexcept override { forward(io, 0); }
  void abort(Io& io) noexcept override;

 protected:
  /// Submits a child of `parent`, whose blocks begin `offset_blocks` further on in the base.
  void forward(Io& parent, std::uint64_t offset_blocks) noexcept;
  /// For modules that ask the base for something else: a child that asks for what `parent` does, to be changed and
  /// handed to `send`, or back with `finish`. Null when there is no memory.
  StackedChild* take_for(Io& parent) noexcept;
  void send(StackedChild& child) noexcept;
  /// The child has ended; the default ends the parent in the same way. Overrides call `finish`, later or at once.
  virtual void child_done(StackedChild& child) noexcept { finish(child); }
  /// Ends the parent with the child's status and gives the child back.
  void finish(StackedChild& child) noexcept { finish(child, status_of(child)); }
  void finish(StackedChild& child, IoStatus status) noexcept;
  static IoStatus status_of(const StackedChild& child) noexcept;
  /// The child that carries `parent`, after `forward`.
  static StackedChild*& child_of(Io& parent) noexcept { return parent.context<StackedChild*>(); }

 private:
  friend struct StackedChild;
  StackedChild* take() noexcept;
  IoChannel base_;
  StackedChild* free_ = nullptr;
  std::vector<std::unique_ptr<StackedChild[]>> slabs_;
};

struct StackedChild final : Io, detail::TimerNode {
  Io* parent = nullptr;
  StackedChannel* channel = nullptr;
  bool base_has_it = false;
  std::uint64_t note = 0;  ///< the module's own
  /// Links of the free list, or of the list of a module that holds the answer back; such a module may use the timer.
  StackedChild* next_child = nullptr;
  StackedChild* previous_child = nullptr;
};

/// Base class of such devices.
class StackedDevice : public Device {
 public:
  StackedDevice(std::string name, std::string product_name, Geometry geometry, std::shared_ptr<StackedBase> base)
      : Device(std::move(name), std::move(product_name), geometry), base_(std::move(base)) {}
  bool supports(IoType type) const noexcept override;
  std::vector<std::string> bases() const override { return {base_->device().name()}; }
  const StackedBase& base() const noexcept { return *base_; }

 protected:
  const std::shared_ptr<StackedBase>& shared_base() const noexcept { return base_; }

 private:
  std::shared_ptr<StackedBase> base_;
};

/// Registers a device over `base` and watches the base for it; closes the base when the registration fails.
Task<Bdev> register_stacked(std::shared_ptr<StackedBase> base, std::unique_ptr<StackedDevice> device, bool follow_size);

/// The geometry of a device with the same blocks as its base.
Geometry geometry_of(const DeviceState& base);

}  // namespace spdkio::bdev
