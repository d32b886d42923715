// Command opcodes. NVMe Base Specification 2.x, "Admin Command Set"; NVM Command Set Specification 1.x, "I/O Commands".
#pragma once

#include <cstdint>
#include <string_view>

namespace spdkio::spec {

enum class AdminOpcode : std::uint8_t {
  delete_io_sq = 0x00,
  create_io_sq = 0x01,
  get_log_page = 0x02,
  delete_io_cq = 0x04,
  create_io_cq = 0x05,
  identify = 0x06,
  abort = 0x08,
  set_features = 0x09,
  get_features = 0x0A,
  async_event_request = 0x0C,
  namespace_management = 0x0D,
  firmware_commit = 0x10,
  firmware_image_download = 0x11,
  device_self_test = 0x14,
  namespace_attachment = 0x15,
  keep_alive = 0x18,
  directive_send = 0x19,
  directive_receive = 0x1A,
  virtualization_management = 0x1C,
  nvme_mi_send = 0x1D,
  nvme_mi_receive = 0x1E,
  capacity_management = 0x20,
  lockdown = 0x24,
  doorbell_buffer_config = 0x7C,
  fabrics = 0x7F,
  format_nvm = 0x80,
  security_send = 0x81,
  security_receive = 0x82,
  sanitize = 0x84,
  get_lba_status = 0x86,
};

enum class NvmOpcode : std::uint8_t {
  flush = 0x00,
  write = 0x01,
  read = 0x02,
  write_uncorrectable = 0x04,
  compare = 0x05,
  write_zeroes = 0x08,
  dataset_management = 0x09,
  verify = 0x0C,
  reservation_register = 0x0D,
  reservation_report = 0x0E,
  reservation_acquire = 0x11,
  io_management_receive = 0x12,
  reservation_release = 0x15,
  cancel = 0x18,
  copy = 0x19,
  io_management_send = 0x1D,
  zone_management_send = 0x79,
  zone_management_receive = 0x7A,
  zone_append = 0x7D,
};

/// The specification's name, or "vendor specific" or "unknown". Static storage.
std::string_view to_string(AdminOpcode opcode) noexcept;
std::string_view to_string(NvmOpcode opcode) noexcept;

constexpr std::uint8_t raw(AdminOpcode opcode) noexcept { return static_cast<std::uint8_t>(opcode); }
constexpr std::uint8_t raw(NvmOpcode opcode) noexcept { return static_cast<std::uint8_t>(opcode); }

}  // namespace spdkio::spec
