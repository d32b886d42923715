#include <spdkio/spec/opcodes.hpp>

namespace spdkio::spec {

std::string_view to_string(AdminOpcode opcode) noexcept {
  switch (opcode) {
    case AdminOpcode::delete_io_sq: return "Delete I/O Submission Queue";
    case AdminOpcode::create_io_sq: return "Create I/O Submission Queue";
    case AdminOpcode::get_log_page: return "Get Log Page";
    case AdminOpcode::delete_io_cq: return "Delete I/O Completion Queue";
    case AdminOpcode::create_io_cq: return "Create I/O Completion Queue";
    case AdminOpcode::identify: return "Identify";
    case AdminOpcode::abort: return "Abort";
    case AdminOpcode::set_features: return "Set Features";
    case AdminOpcode::get_features: return "Get Features";
    case AdminOpcode::async_event_request: return "Asynchronous Event Request";
    case AdminOpcode::namespace_management: return "Namespace Management";
    case AdminOpcode::firmware_commit: return "Firmware Commit";
    case AdminOpcode::firmware_image_download: return "Firmware Image Download";
    case AdminOpcode::device_self_test: return "Device Self-test";
    case AdminOpcode::namespace_attachment: return "Namespace Attachment";
    case AdminOpcode::keep_alive: return "Keep Alive";
    case AdminOpcode::directive_send: return "Directive Send";
    case AdminOpcode::directive_receive: return "Directive Receive";
    case AdminOpcode::virtualization_management: return "Virtualization Management";
    case AdminOpcode::nvme_mi_send: return "NVMe-MI Send";
    case AdminOpcode::nvme_mi_receive: return "NVMe-MI Receive";
    case AdminOpcode::capacity_management: return "Capacity Management";
    case AdminOpcode::lockdown: return "Lockdown";
    case AdminOpcode::doorbell_buffer_config: return "Doorbell Buffer Config";
    case AdminOpcode::fabrics: return "Fabrics";
    case AdminOpcode::format_nvm: return "Format NVM";
    case AdminOpcode::security_send: return "Security Send";
    case AdminOpcode::security_receive: return "Security Receive";
    case AdminOpcode::sanitize: return "Sanitize";
    case AdminOpcode::get_lba_status: return "Get LBA Status";
  }
  return raw(opcode) >= 0xC0 ? "vendor specific" : "unknown";
}

std::string_view to_string(NvmOpcode opcode) noexcept {
  switch (opcode) {
    case NvmOpcode::flush: return "Flush";
    case NvmOpcode::write: return "Write";
    case NvmOpcode::read: return "Read";
    case NvmOpcode::write_uncorrectable: return "Write Uncorrectable";
    case NvmOpcode::compare: return "Compare";
    case NvmOpcode::write_zeroes: return "Write Zeroes";
    case NvmOpcode::dataset_management: return "Dataset Management";
    case NvmOpcode::verify: return "Verify";
    case NvmOpcode::reservation_register: return "Reservation Register";
    case NvmOpcode::reservation_report: return "Reservation Report";
    case NvmOpcode::reservation_acquire: return "Reservation Acquire";
    case NvmOpcode::io_management_receive: return "I/O Management Receive";
    case NvmOpcode::reservation_release: return "Reservation Release";
    case NvmOpcode::cancel: return "Cancel";
    case NvmOpcode::copy: return "Copy";
    case NvmOpcode::io_management_send: return "I/O Management Send";
    case NvmOpcode::zone_management_send: return "Zone Management Send";
    case NvmOpcode::zone_management_receive: return "Zone Management Receive";
    case NvmOpcode::zone_append: return "Zone Append";
  }
  return raw(opcode) >= 0x80 ? "vendor specific" : "unknown";
}

}  // namespace spdkio::spec
