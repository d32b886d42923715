#include <spdkio/bdev_modules/split.hpp>
#include <spdkio/rpc/method_table.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "bdev_modules/create_delete.hpp"
#include "bdev_modules/stacked/pending_bases.hpp"
#include "bdev_modules/stacked/stacked_device.hpp"

namespace spdkio::bdev {
namespace {

struct SplitLayout {
  std::uint32_t count;
  std::uint64_t size_mib;  ///< as asked for
  std::uint64_t blocks_per_part;
};

/// The base and how many hold it: each part, and the call that makes the parts while it runs. The last closes it.
class SplitBase {
 public:
  explicit SplitBase(std::shared_ptr<StackedBase> base) : base_(std::move(base)) {}
  const std::shared_ptr<StackedBase>& base() const noexcept { return base_; }
  void hold() noexcept { holders_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) base_->close();
  }

 private:
  std::shared_ptr<StackedBase> base_;
  std::atomic<std::uint32_t> holders_{1};
};

class SplitChannel final : public StackedChannel {
 public:
  SplitChannel(const StackedBase& base, std::uint64_t offset_blocks)
      : StackedChannel(base), offset_blocks_(offset_blocks) {}
  void submit(Io& io) noexcept override { forward(io, offset_blocks_); }

 private:
  void child_done(StackedChild& child) noexcept override {
    // What the base answers with a block number counts from the start of the base.
    const bool block_number =
        child.type == IoType::zone_append || child.type == IoType::seek_data || child.type == IoType::seek_hole;
    if (block_number && child.result != UINT64_MAX) {
      const std::uint64_t end = offset_blocks_ + child.parent->slot().device().num_blocks().value;
      child.result = child.result < end ? child.result - offset_blocks_ : UINT64_MAX;
    }
    finish(child);
  }
  std::uint64_t offset_blocks_;
};

class SplitDevice final : public StackedDevice {
 public:
  SplitDevice(std::string name, std::shared_ptr<SplitBase> base, const SplitLayout& layout, std::uint32_t index)
      : StackedDevice(std::move(name), "Split Disk", part_geometry(*base->base(), layout), base->base()),
        split_base_(std::move(base)),
        layout_(layout),
        index_(index) {}
  std::unique_ptr<Channel> make_channel() override {
    return std::make_unique<SplitChannel>(base(), index_ * layout_.blocks_per_part);
  }
  bool supports(IoType type) const noexcept override {
    // A reset would reach the other parts, and zone reports and passthru commands name blocks of the base.
    return type != IoType::reset && type != IoType::zone_report && type != IoType::zone_management &&
           type != IoType::nvme_admin && type != IoType::nvme_io && StackedDevice::supports(type);
  }
  Task<> shut_down() override {
    split_base_->release();
    return StackedDevice::shut_down();
  }
  nlohmann::ordered_json driver_specific() const override {
    return {{"split", {{"base_bdev", base().device().name()}, {"offset_blocks", index_ * layout_.blocks_per_part}}}};
  }
  nlohmann::ordered_json config() const override {
    if (index_ != 0) return nullptr;  // one call makes all parts
    return {
        {"method", "bdev_split_create"},
        {"params",
         {{"base_bdev", base().device().name()}, {"split_count", layout_.count}, {"split_size_mb", layout_.size_mib}}}};
  }

 private:
  static Geometry part_geometry(const StackedBase& base, const SplitLayout& layout) {
    Geometry geometry = geometry_of(base.device());
    geometry.num_blocks = layout.blocks_per_part;
    return geometry;
  }
  std::shared_ptr<SplitBase> split_base_;
  SplitLayout layout_;
  std::uint32_t index_;
};

SplitLayout layout_of(const DeviceState& base, std::uint32_t count, std::uint64_t size_mib) {
  const std::uint64_t block_size = base.geometry().block_size;
  const std::uint64_t blocks = base.num_blocks().value;
  if (count == 0) refuse_option(base.name(), "split_count", "must not be 0");
  if (size_mib > UINT64_MAX >> 20 || (size_mib << 20) % block_size != 0) {
    refuse_option(base.name(), "split_size_mb", "is not a whole number of blocks");
  }
  const std::uint64_t per_part = size_mib == 0 ? blocks / count : (size_mib << 20) / block_size;
  if (per_part == 0 || per_part > blocks / count) {
    refuse_option(base.name(), "split_count",
                  fmt::format("{} times {} blocks do not fit in {}", count, per_part, blocks));
  }
  return {count, size_mib, per_part};
}

std::string part_name(std::string_view base, std::uint32_t index) { return fmt::format("{}p{}", base, index); }

std::vector<std::string> parts_of(const std::string& base) {
  std::vector<std::string> names;
  for (const auto& state : Service::current().list()) {
    const auto* split = dynamic_cast<SplitDevice*>(state->device());
    if (split != nullptr && split->base().device().name() == base) names.push_back(state->name());
  }
  return names;
}

Task<std::vector<Bdev>> create_parts(std::string base_name, std::uint32_t count, std::uint64_t size_mib) {
  auto base = StackedBase::open(base_name, "split");
  const auto split_base = std::make_shared<SplitBase>(base);
  std::vector<Bdev> parts;
  std::vector<std::string> names;
  std::exception_ptr failure;
  try {
    const SplitLayout layout = layout_of(base->device(), count, size_mib);
    for (std::uint32_t i = 0; i < count; ++i) {
      auto name = part_name(base->device().name(), i);
      auto device = std::make_unique<SplitDevice>(std::move(name), split_base, layout, i);
      // Before it is registered: from then on anyone may remove it.
      split_base->hold();
      auto registering = Service::current().register_device(std::move(device));
      auto state = co_await as_result(std::move(registering));
      if (!state) {
        split_base->release();
        throw state.error();
      }
      names.push_back((*state)->name());
      parts.emplace_back(*std::move(state));
    }
    base->watch(names, false);
    split_base->release();
    co_return parts;
  } catch (...) {
    failure = std::current_exception();
  }
  for (const auto& name : names) {
    // A part that somebody else removed meanwhile is gone all the same.
    auto removing = Service::current().unregister_device(name);
    co_await as_result(std::move(removing));
  }
  split_base->release();
  std::rethrow_exception(failure);
}

Task<> delete_parts(std::string base_name) {
  const auto names = parts_of(base_name);
  if (names.empty()) {
    throw Error(std::errc::no_such_device, "the bdev is not split").with_operation("delete").with_device(base_name);
  }
  for (const auto& name : names) co_await Service::current().unregister_device(name);
}

struct CreateParams {
  std::string base_bdev;
  std::uint32_t split_count = 0;
  std::uint64_t split_size_mb = 0;
  void fields(rpc::Params& params) {
    params.required("base_bdev", &base_bdev, "Name of the bdev to split");
    params.required("split_count", &split_count, "Number of parts");
    params.optional("split_size_mb", &split_size_mb, "Size of each part in MiB; 0: divide evenly");
  }
};

struct BaseParams {
  std::string base_bdev;
  void fields(rpc::Params& params) { params.required("base_bdev", &base_bdev, "Name of the bdev that was split"); }
};

Task<Json> create(std::shared_ptr<PendingBases> pending, CreateParams params) {
  if (params.split_count == 0) refuse_option(params.base_bdev, "split_count", "must not be 0");
  const PendingBases::Make make = [params]() -> Task<> {
    return discard(create_parts(params.base_bdev, params.split_count, params.split_size_mb));
  };
  auto creating =
      PendingBases::make_or_wait(std::move(pending), part_name(params.base_bdev, 0), params.base_bdev, make);
  co_await std::move(creating);
  // None while the base is missing.
  co_return Json(parts_of(params.base_bdev));
}

Task<Json> remove(std::shared_ptr<PendingBases> pending, BaseParams params) {
  if (!pending->forget(part_name(params.base_bdev, 0))) co_await delete_parts(std::move(params.base_bdev));
  co_return Json(true);
}

}  // namespace

Task<std::vector<Bdev>> create_split(const SplitOptions& options) {
  return create_parts(std::string{options.base}, options.count, options.size_mib);
}

Task<> delete_split(std::string_view base) { return delete_parts(std::string{base}); }

void register_split_methods(rpc::MethodTable& table) {
  const auto pending = std::make_shared<PendingBases>();
  table.add<CreateParams>("bdev_split_create", "Divide a bdev into several of equal size",
                          [=](CreateParams params) { return create(pending, std::move(params)); });
  table.add<BaseParams>("bdev_split_delete", "Remove all parts of a bdev",
                        [=](BaseParams params) { return remove(pending, std::move(params)); });
}

}  // namespace spdkio::bdev
