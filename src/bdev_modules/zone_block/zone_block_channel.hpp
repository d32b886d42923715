// ZoneBlockChannel: a zoned device as one Thread uses it.
#pragma once

#include "bdev_modules/stacked/stacked_device.hpp"
#include "bdev_modules/zone_block/zone_table.hpp"

namespace spdkio::bdev {

class ZoneBlockChannel final : public StackedChannel {
 public:
  ZoneBlockChannel(const StackedBase& base, ZoneTable& zones);
  void submit(Io& io) noexcept override;

 private:
  void read(Io& io) noexcept;
  void write(Io& io) noexcept;
  void manage(Io& io) noexcept;
  void reset_zone(Io& io) noexcept;
  void child_done(StackedChild& child) noexcept override;
  /// What blocks that hold no data read as, from block `first` of the request on.
  void fill_unwritten(const Io& io, std::uint64_t first) const noexcept;

  ZoneTable& zones_;
  const Geometry& geometry_;  ///< of the base; the blocks are the same
  bool base_unmaps_;
};

}  // namespace spdkio::bdev
