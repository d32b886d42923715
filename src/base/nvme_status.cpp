#include <spdkio/base/nvme_status.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>

namespace spdkio {
namespace {

struct Entry {
  NvmeSct sct;
  std::uint8_t sc;
  std::string_view text;
  int errno_value = EIO;

  constexpr int key() const { return static_cast<int>(sct) << 8 | sc; }
};

constexpr auto generic = NvmeSct::generic;
constexpr auto specific = NvmeSct::command_specific;
constexpr auto media = NvmeSct::media;
constexpr auto path = NvmeSct::path;

// Base Specification 2.2, figures 102 to 104, 106 and 107, and what revision 2.3 added; in the order of the codes.
// Command specific codes from 80h on are those of I/O commands; Fabrics commands use the same numbers otherwise.
constexpr std::array table{
    Entry{generic, 0x00, "Successful Completion", 0},
    Entry{generic, 0x01, "Invalid Command Opcode", EOPNOTSUPP},
    Entry{generic, 0x02, "Invalid Field in Command", EINVAL},
    Entry{generic, 0x03, "Command ID Conflict"},
    Entry{generic, 0x04, "Data Transfer Error"},
    Entry{generic, 0x05, "Commands Aborted due to Power Loss Notification", ECANCELED},
    Entry{generic, 0x06, "Internal Error"},
    Entry{generic, 0x07, "Command Abort Requested", ECANCELED},
    Entry{generic, 0x08, "Command Aborted due to SQ Deletion", ECANCELED},
    Entry{generic, 0x09, "Command Aborted due to Failed Fused Command", ECANCELED},
    Entry{generic, 0x0A, "Command Aborted due to Missing Fused Command", ECANCELED},
    Entry{generic, 0x0B, "Invalid Namespace or Format", ENODEV},
    Entry{generic, 0x0C, "Command Sequence Error", EPROTO},
    Entry{generic, 0x0D, "Invalid SGL Segment Descriptor", EINVAL},
    Entry{generic, 0x0E, "Invalid Number of SGL Descriptors", EINVAL},
    Entry{generic, 0x0F, "Data SGL Length Invalid", EINVAL},
    Entry{generic, 0x10, "Metadata SGL Length Invalid", EINVAL},
    Entry{generic, 0x11, "SGL Descriptor Type Invalid", EINVAL},
    Entry{generic, 0x12, "Invalid Use of Controller Memory Buffer", EINVAL},
    Entry{generic, 0x13, "PRP Offset Invalid", EINVAL},
    Entry{generic, 0x14, "Atomic Write Unit Exceeded", EINVAL},
    Entry{generic, 0x15, "Operation Denied", EACCES},
    Entry{generic, 0x16, "SGL Offset Invalid", EINVAL},
    Entry{generic, 0x18, "Host Identifier Inconsistent Format", EINVAL},
    Entry{generic, 0x19, "Keep Alive Timer Expired", ETIMEDOUT},
    Entry{generic, 0x1A, "Keep Alive Timeout Invalid", EINVAL},
    Entry{generic, 0x1B, "Command Aborted due to Preempt and Abort", ECANCELED},
    Entry{generic, 0x1C, "Sanitize Failed"},
    Entry{generic, 0x1D, "Sanitize In Progress", EBUSY},
    Entry{generic, 0x1E, "SGL Data Block Granularity Invalid", EINVAL},
    Entry{generic, 0x1F, "Command Not Supported for Queue in CMB", EOPNOTSUPP},
    Entry{generic, 0x20, "Namespace is Write Protected", EROFS},
    Entry{generic, 0x21, "Command Interrupted", EAGAIN},
    Entry{generic, 0x22, "Transient Transport Error", EAGAIN},
    Entry{generic, 0x23, "Command Prohibited by Command and Feature Lockdown", EPERM},
    Entry{generic, 0x24, "Admin Command Media Not Ready", EBUSY},
    Entry{generic, 0x25, "Invalid Key Tag", EINVAL},
    Entry{generic, 0x26, "Host Dispersed Namespace Support Not Enabled", EOPNOTSUPP},
    Entry{generic, 0x27, "Host Identifier Not Initialized", EINVAL},
    Entry{generic, 0x28, "Incorrect Key", EACCES},
    Entry{generic, 0x29, "FDP Disabled", EOPNOTSUPP},
    Entry{generic, 0x2A, "Invalid Placement Handle List", EINVAL},
    Entry{generic, 0x2B, "Sanitize Namespace Failed"},
    Entry{generic, 0x2C, "Sanitize Namespace In Progress", EBUSY},
    Entry{generic, 0x80, "LBA Out of Range", EINVAL},
    Entry{generic, 0x81, "Capacity Exceeded", ENOSPC},
    Entry{generic, 0x82, "Namespace Not Ready", EBUSY},
    Entry{generic, 0x83, "Reservation Conflict", EBADE},
    Entry{generic, 0x84, "Format In Progress", EBUSY},
    Entry{generic, 0x85, "Invalid Value Size", EINVAL},
    Entry{generic, 0x86, "Invalid Key Size", EINVAL},
    Entry{generic, 0x87, "KV Key Does Not Exist", ENOENT},
    Entry{generic, 0x88, "Unrecovered Error"},
    Entry{generic, 0x89, "Key Exists", EEXIST},

    Entry{specific, 0x00, "Completion Queue Invalid", EINVAL},
    Entry{specific, 0x01, "Invalid Queue Identifier", EINVAL},
    Entry{specific, 0x02, "Invalid Queue Size", EINVAL},
    Entry{specific, 0x03, "Abort Command Limit Exceeded", EAGAIN},
    Entry{specific, 0x05, "Asynchronous Event Request Limit Exceeded", EAGAIN},
    Entry{specific, 0x06, "Invalid Firmware Slot", EINVAL},
    Entry{specific, 0x07, "Invalid Firmware Image", EINVAL},
    Entry{specific, 0x08, "Invalid Interrupt Vector", EINVAL},
    Entry{specific, 0x09, "Invalid Log Page", EINVAL},
    Entry{specific, 0x0A, "Invalid Format", EINVAL},
    Entry{specific, 0x0B, "Firmware Activation Requires Conventional Reset"},
    Entry{specific, 0x0C, "Invalid Queue Deletion", EINVAL},
    Entry{specific, 0x0D, "Feature Identifier Not Saveable", EOPNOTSUPP},
    Entry{specific, 0x0E, "Feature Not Changeable", EPERM},
    Entry{specific, 0x0F, "Feature Not Namespace Specific", EINVAL},
    Entry{specific, 0x10, "Firmware Activation Requires NVM Subsystem Reset"},
    Entry{specific, 0x11, "Firmware Activation Requires Controller Level Reset"},
    Entry{specific, 0x12, "Firmware Activation Requires Maximum Time Violation"},
    Entry{specific, 0x13, "Firmware Activation Prohibited", EPERM},
    Entry{specific, 0x14, "Overlapping Range", EINVAL},
    Entry{specific, 0x15, "Namespace Insufficient Capacity", ENOSPC},
    Entry{specific, 0x16, "Namespace Identifier Unavailable", ENOSPC},
    Entry{specific, 0x18, "Namespace Already Attached", EALREADY},
    Entry{specific, 0x19, "Namespace Is Private", EPERM},
    Entry{specific, 0x1A, "Namespace Not Attached", ENODEV},
    Entry{specific, 0x1B, "Thin Provisioning Not Supported", EOPNOTSUPP},
    Entry{specific, 0x1C, "Controller List Invalid", EINVAL},
    Entry{specific, 0x1D, "Device Self-test In Progress", EBUSY},
    Entry{specific, 0x1E, "Boot Partition Write Prohibited", EPERM},
    Entry{specific, 0x1F, "Invalid Controller Identifier", EINVAL},
    Entry{specific, 0x20, "Invalid Secondary Controller State", EINVAL},
    Entry{specific, 0x21, "Invalid Number of Controller Resources", EINVAL},
    Entry{specific, 0x22, "Invalid Resource Identifier", EINVAL},
    Entry{specific, 0x23, "Sanitize Prohibited While Persistent Memory Region is Enabled", EPERM},
    Entry{specific, 0x24, "ANA Group Identifier Invalid", EINVAL},
    Entry{specific, 0x25, "ANA Attach Failed"},
    Entry{specific, 0x26, "Insufficient Capacity", ENOSPC},
    Entry{specific, 0x27, "Namespace Attachment Limit Exceeded", ENOSPC},
    Entry{specific, 0x28, "Prohibition of Command Execution Not Supported", EOPNOTSUPP},
    Entry{specific, 0x29, "I/O Command Set Not Supported", EOPNOTSUPP},
    Entry{specific, 0x2A, "I/O Command Set Not Enabled", EOPNOTSUPP},
    Entry{specific, 0x2B, "I/O Command Set Combination Rejected", EINVAL},
    Entry{specific, 0x2C, "Invalid I/O Command Set", EINVAL},
    Entry{specific, 0x2D, "Identifier Unavailable", ENOSPC},
    Entry{specific, 0x2E, "Namespace Is Dispersed", EOPNOTSUPP},
    Entry{specific, 0x2F, "Invalid Discovery Information", EINVAL},
    Entry{specific, 0x30, "Zoning Data Structure Locked", EBUSY},
    Entry{specific, 0x31, "Zoning Data Structure Not Found", ENOENT},
    Entry{specific, 0x32, "Insufficient Discovery Resources", ENOSPC},
    Entry{specific, 0x33, "Requested Function Disabled", EOPNOTSUPP},
    Entry{specific, 0x34, "ZoneGroup Originator Invalid", EINVAL},
    Entry{specific, 0x35, "Invalid Host", EINVAL},
    Entry{specific, 0x36, "Invalid NVM Subsystem", EINVAL},
    Entry{specific, 0x37, "Invalid Controller Data Queue", EINVAL},
    Entry{specific, 0x38, "Not Enough Resources", ENOMEM},
    Entry{specific, 0x39, "Controller Suspended", EBUSY},
    Entry{specific, 0x3A, "Controller Not Suspended", EINVAL},
    Entry{specific, 0x3B, "Controller Data Queue Full", EAGAIN},
    Entry{specific, 0x3C, "Request Exceeds Maximum Namespace Sanitize Operations In Progress", EBUSY},
    Entry{specific, 0x3D, "Manufacturing Default Personality Required", EPERM},
    Entry{specific, 0x3E, "Invalid Power Limit", EINVAL},
    Entry{specific, 0x3F, "Cross-Controller Reset in Progress", EBUSY},
    Entry{specific, 0x40, "Cross-Controller Reset Log Page Full", ENOSPC},
    Entry{specific, 0x41, "Cross-Controller Reset Limit Exceeded", EAGAIN},
    Entry{specific, 0x80, "Conflicting Attributes", EINVAL},
    Entry{specific, 0x81, "Invalid Protection Information", EINVAL},
    Entry{specific, 0x82, "Attempted Write to Read Only Range", EROFS},
    Entry{specific, 0x83, "Command Size Limit Exceeded", EINVAL},
    Entry{specific, 0x84, "Invalid Command ID", EINVAL},
    Entry{specific, 0x85, "Incompatible Namespace or Format", EINVAL},
    Entry{specific, 0x86, "Fast Copy Not Possible", EOPNOTSUPP},
    Entry{specific, 0x87, "Overlapping I/O Range", EINVAL},
    Entry{specific, 0x88, "Namespace Not Reachable", ENXIO},
    Entry{specific, 0x89, "Insufficient Resources", ENOMEM},
    Entry{specific, 0x8A, "Insufficient Program Resources", ENOMEM},
    Entry{specific, 0x8B, "Invalid Memory Namespace", EINVAL},
    Entry{specific, 0x8C, "Invalid Memory Range Set", EINVAL},
    Entry{specific, 0x8D, "Invalid Memory Range Set Identifier", EINVAL},
    Entry{specific, 0x8E, "Invalid Program Data", EINVAL},
    Entry{specific, 0x8F, "Invalid Program Index", EINVAL},
    Entry{specific, 0x90, "Invalid Program Type", EINVAL},
    Entry{specific, 0x91, "Maximum Memory Ranges Exceeded", ENOSPC},
    Entry{specific, 0x92, "Maximum Memory Range Sets Exceeded", ENOSPC},
    Entry{specific, 0x93, "Maximum Programs Activated", ENOSPC},
    Entry{specific, 0x94, "Maximum Program Bytes Exceeded", ENOSPC},
    Entry{specific, 0x95, "Memory Range Set In Use", EBUSY},
    Entry{specific, 0x96, "No Program", ENOENT},
    Entry{specific, 0x97, "Overlapping Memory Ranges", EINVAL},
    Entry{specific, 0x98, "Program Not Activated", EINVAL},
    Entry{specific, 0x99, "Program In Use", EBUSY},
    Entry{specific, 0x9A, "Program Index Not Downloadable", EINVAL},
    Entry{specific, 0x9B, "Program Too Big", EFBIG},
    Entry{specific, 0x9C, "Successful Media Verification Read"},
    Entry{specific, 0xB8, "Zoned Boundary Error", EINVAL},
    Entry{specific, 0xB9, "Zone Is Full", ENOSPC},
    Entry{specific, 0xBA, "Zone Is Read Only", EROFS},
    Entry{specific, 0xBB, "Zone Is Offline", ENXIO},
    Entry{specific, 0xBC, "Zone Invalid Write", EINVAL},
    Entry{specific, 0xBD, "Too Many Active Zones", EOVERFLOW},
    Entry{specific, 0xBE, "Too Many Open Zones", ETOOMANYREFS},
    Entry{specific, 0xBF, "Invalid Zone State Transition", EINVAL},

    Entry{media, 0x80, "Write Fault"},
    Entry{media, 0x81, "Unrecovered Read Error"},
    Entry{media, 0x82, "End-to-end Guard Check Error", EILSEQ},
    Entry{media, 0x83, "End-to-end Application Tag Check Error", EILSEQ},
    Entry{media, 0x84, "End-to-end Reference Tag Check Error", EILSEQ},
    Entry{media, 0x85, "Compare Failure", EILSEQ},
    Entry{media, 0x86, "Access Denied", EACCES},
    Entry{media, 0x87, "Deallocated or Unwritten Logical Block", ENODATA},
    Entry{media, 0x88, "End-to-End Storage Tag Check Error", EILSEQ},

    Entry{path, 0x00, "Internal Path Error", ENOLINK},
    Entry{path, 0x01, "Asymmetric Access Persistent Loss", ENOLINK},
    Entry{path, 0x02, "Asymmetric Access Inaccessible", ENOLINK},
    Entry{path, 0x03, "Asymmetric Access Transition", EAGAIN},
    Entry{path, 0x60, "Controller Pathing Error", ENOLINK},
    Entry{path, 0x70, "Host Pathing Error", ENOLINK},
    Entry{path, 0x71, "Command Aborted By Host", ECANCELED},
};

static_assert(std::ranges::is_sorted(table, std::ranges::less{}, &Entry::key), "find() searches by halves");
static_assert(std::ranges::adjacent_find(table, {}, &Entry::key) == table.end(), "a code stands twice");

const Entry* find(const NvmeStatus& status) noexcept {
  const int key = status.sct << 8 | status.sc;
  const auto* entry = std::ranges::lower_bound(table, key, {}, &Entry::key);
  return entry != table.end() && entry->key() == key ? entry : nullptr;
}

}  // namespace

std::string_view NvmeStatus::text() const noexcept {
  if (const Entry* entry = find(*this)) return entry->text;
  const bool vendor_code = sct <= static_cast<std::uint8_t>(path) && sc >= 0xC0;
  return vendor_code || sct == static_cast<std::uint8_t>(NvmeSct::vendor) ? "Vendor Specific" : "unknown status";
}

std::string NvmeStatus::describe() const {
  std::string result = fmt::format("{} (SCT {:#x}, SC {:#04x}", text(), sct, sc);
  if (dnr) result += ", DNR";
  if (more) result += ", More";
  if (crd != 0) fmt::format_to(std::back_inserter(result), ", CRD {}", crd);
  result += ')';
  return result;
}

int NvmeStatus::to_errno() const noexcept {
  const Entry* entry = find(*this);
  return entry ? entry->errno_value : EIO;
}

}  // namespace spdkio
