#include "nvmf/namespace_device.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <fmt/format.h>

#include <bit>
#include <cstdint>
#include <exception>
#include <string_view>
#include <utility>

namespace spdkio::nvmf {
namespace {

constexpr std::string_view claimer = "NVMe-oF Target";
/// All namespaces of this process share it: one device may be in several subsystems.
constexpr std::uint64_t claim_key = 0x6E76'6D66;

void check_device(const bdev::DeviceState& device, ZonedDevices zoned) {
  const bdev::Geometry& geometry = device.geometry();
  const auto fail = [&device](std::string what) {
    throw Error(Misuse::invalid_argument, std::move(what)).with_operation("add_namespace").with_device(device.name());
  };
  if (geometry.metadata_size != 0 && !geometry.metadata_interleaved) {
    fail("separate metadata can't be carried over fabrics; a device with interleaved metadata can be a namespace");
  }
  if (geometry.zone_size_blocks != 0 && zoned == ZonedDevices::refused) fail("this target has no zoned namespaces");
  const std::uint32_t data = geometry.block_size - (geometry.metadata_interleaved ? geometry.metadata_size : 0);
  if (data < 512 || !std::has_single_bit(data)) {
    fail(fmt::format("blocks of {} bytes can't be a namespace: a power of two from 512 is needed", data));
  }
}

}  // namespace

Task<NamespaceDevice> open_namespace_device(std::string bdev_name, std::string nqn, ZonedDevices zoned) {
  NamespaceDevice device;
  device.writable = true;
  auto opening = BdevDesc::open(bdev_name, Access::read_write);
  auto opened = co_await as_result(std::move(opening));
  if (!opened && opened.error().code() == Misuse::read_only) {
    device.writable = false;
    auto reading = BdevDesc::open(bdev_name, Access::read_only);
    opened = co_await as_result(std::move(reading));
  }
  if (!opened) throw Error(opened.error()).with_context(fmt::format("while adding it to {}", nqn));
  device.desc = std::make_shared<BdevDesc>(std::move(*opened));
  std::exception_ptr failure;
  try {
    check_device(device.desc->state()->device(), zoned);
    device.desc->claim(device.writable ? bdev::Claim::read_many_write_shared : bdev::Claim::read_many_write_none,
                       std::string(claimer), claim_key);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await device.desc->close();
    std::rethrow_exception(failure);
  }
  co_return device;
}

}  // namespace spdkio::nvmf
