
#include "spdkio/nvme/identify_text.hpp"

#include "spdkio/terminal/table.hpp"

#include <spdkio/base/byte_size.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace spdkio::tool {
namespace {

struct Bit {
  std::uint32_t mask;
  std::string_view name;
};

std::string names_of(std::uint32_t value, std::span<const Bit> bits) {
  std::vector<std::string_view> names;
  for (const Bit& bit : bits) {
    if ((value & bit.mask) != 0) names.push_back(bit.name);
  }
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

constexpr Bit admin_commands[] = {
    {spec::oacs::security, "Security Send and Receive"},
    {spec::oacs::format, "Format NVM"},
    {spec::oacs::firmware, "Firmware"},
    {spec::oacs::ns_management, "Namespace Management"},
    {spec::oacs::self_test, "Device Self-test"},
    {spec::oacs::directives, "Directives"},
    {spec::oacs::doorbell_buffer_config, "Doorbell Buffer Config"},
};
constexpr Bit io_commands[] = {
    {spec::oncs::compare, "Compare"},
    {spec::oncs::write_uncorrectable, "Write Uncorrectable"},
    {spec::oncs::dataset_management, "Dataset Management"},
    {spec::oncs::write_zeroes, "Write Zeroes"},
    {spec::oncs::reservations, "Reservations"},
    {spec::oncs::verify, "Verify"},
    {spec::oncs::copy, "Copy"},
};
constexpr Bit sanitize_actions[] = {{1, "Crypto Erase"}, {2, "Block Erase"}, {4, "Overwrite"}};
constexpr Bit events[] = {
    {0x1F, "health"},
    {spec::async_event_config::ns_attributes, "namespaces"},
    {spec::async_event_config::firmware_activation, "firmware"},
    {spec::async_event_config::ana_change, "asymmetric access"},
    {spec::async_event_config::discovery_log, "discovery log"},
};

std::string_view type_name(spec::ControllerType type) {
  switch (type) {
    case spec::ControllerType::not_reported: return "not reported";
    case spec::ControllerType::io: return "I/O controller";
    case spec::ControllerType::discovery: return "discovery controller";
    case spec::ControllerType::administrative: return "administrative controller";
  }
  return "unknown";
}

std::string format_name(const spec::LbaFormat& format) {
  const std::uint32_t metadata = format.metadata_bytes.value();
  return metadata == 0 ? fmt::format("{}", format.block_size()) : fmt::format("{}+{}", format.block_size(), metadata);
}

std::string hex_of(std::span<const std::uint8_t> bytes) { return fmt::format("{:02x}", fmt::join(bytes, "")); }

bool all_zero(std::span<const std::uint8_t> bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

std::string identifier_of(const nvme::NamespaceInfo& info) {
  if (!info.uuid.is_nil()) return info.uuid.to_string();
  if (!all_zero(info.nguid)) return hex_of(info.nguid);
  return all_zero(info.eui64) ? "" : hex_of(info.eui64);
}

/// Facts as two columns.
class Facts {
 public:
  void add(std::string_view name, std::string value) {
    table_.add_row({{std::string(name), Tone::dim}, std::move(value)});
  }
  void print(const Terminal& out) const { table_.print(out); }

 private:
  Table table_{{{""}, {""}}, "  "};
};

}  // namespace

void print_controller(const Terminal& out, const nvme::Controller& controller) {
  const auto data = controller.identify();
  const spec::SpecVersion version = controller.version();
  out.line(out.paint(Tone::strong, controller.transport_id().to_string()));
  Facts facts;
  facts.add("NVM subsystem", data->subnqn.to_string());
  facts.add("model", data->mn.to_string());
  facts.add("serial number", data->sn.to_string());
  facts.add("firmware", data->fr.to_string());
  facts.add("controller", fmt::format("{:#06x}, {}", controller.controller_id(), type_name(data->cntrltype)));
  facts.add("NVMe version",
            fmt::format("{}.{}.{}", version.major_version(), version.minor_version(), version.tertiary_version()));
  facts.add("vendor", fmt::format("PCI {:#06x}, subsystem {:#06x}", data->vid.value(), data->ssvid.value()));
  facts.add("largest transfer", data->mdts == 0 ? fmt::format("no limit; {} are used",
                                                              format_bytes(ByteCount{controller.max_transfer_bytes()}))
                                                : format_bytes(ByteCount{controller.max_transfer_bytes()}));
  facts.add("largest queue", fmt::format("{} entries", controller.capabilities().max_queue_entries()));
  if (controller.transport_id().trtype != nvme::TransportType::pcie) {
    // The capsule holds the 64 bytes of the command first; a discovery controller takes no I/O capsules.
    const std::uint64_t capsule = std::uint64_t{data->ioccsz.value()} * 16;
    facts.add("data in a capsule", format_bytes(ByteCount{capsule > 64 ? capsule - 64 : 0}));
    facts.add("keep alive", data->kas == 0 ? "not supported" : fmt::format("in steps of {} ms", data->kas * 100u));
  }
  facts.add("namespaces", fmt::format("numbers up to {}", data->nn.value()));
  facts.add("admin commands", names_of(data->oacs, admin_commands));
  facts.add("I/O commands", names_of(data->oncs, io_commands));
  facts.add("fused", (data->fuses & spec::fuses_compare_and_write) != 0 ? "Compare and Write" : "none");
  facts.add("sanitize", names_of(data->sanicap, sanitize_actions));
  facts.add("events", names_of(data->oaes, events));
  facts.add("volatile cache", (data->vwc & spec::vwc_present) != 0 ? "yes" : "no");
  facts.print(out);
}

void print_namespace_table(const Terminal& out, const std::vector<nvme::Namespace>& namespaces) {
  if (namespaces.empty()) return out.line("no active namespaces");
  Table table{{{"NSID", Align::right},
               {"SIZE", Align::right},
               {"BLOCKS", Align::right},
               {"FORMAT", Align::right},
               {"ATTRIBUTES"},
               {"IDENTIFIER"}}};
  for (const nvme::Namespace& ns : namespaces) {
    const auto info = ns.info();
    const spec::IdentifyNamespace& data = info->identify;
    constexpr Bit attributes[] = {{1, "shared"}, {2, "thin"}, {4, "read-only"}, {8, "protected"}};
    const std::uint32_t set = ((data.nmic & spec::nmic_shared) != 0 ? 1u : 0u) |
                              ((data.nsfeat & spec::nsfeat::thin) != 0 ? 2u : 0u) | (info->read_only ? 4u : 0u) |
                              (info->protection_type != 0 ? 8u : 0u);
    table.add_row({fmt::format("{}", info->nsid),
                   format_bytes(ByteCount{info->num_blocks * info->block_size}),
                   fmt::format("{}", info->num_blocks),
                   format_name(data.format()),
                   set == 0 ? "" : names_of(set, attributes),
                   {identifier_of(*info), Tone::dim}});
  }
  table.print(out);
}

void print_namespace(const Terminal& out, const nvme::NamespaceInfo& info) {
  const spec::IdentifyNamespace& data = info.identify;
  out.line(out.paint(Tone::strong, fmt::format("namespace {}", info.nsid)));
  Facts facts;
  const auto blocks = [&](std::uint64_t count) {
    return fmt::format("{} ({} blocks)", format_bytes(ByteCount{count * info.block_size}), count);
  };
  facts.add("size", blocks(info.num_blocks));
  facts.add("capacity", blocks(data.ncap));
  facts.add("in use", blocks(data.nuse));
  facts.add("format", fmt::format("{}{}", format_name(data.format()),
                                  info.metadata_size == 0     ? ""
                                  : info.metadata_interleaved ? ", metadata interleaved"
                                                              : ", metadata separate"));
  facts.add("protection", info.protection_type == 0
                              ? "none"
                              : fmt::format("type {}, {} of the metadata", info.protection_type,
                                            info.protection_first ? "at the start" : "at the end"));
  if (!info.uuid.is_nil()) facts.add("UUID", info.uuid.to_string());
  if (!all_zero(info.nguid)) facts.add("NGUID", hex_of(info.nguid));
  if (!all_zero(info.eui64)) facts.add("EUI-64", hex_of(info.eui64));
  facts.add("shared", (data.nmic & spec::nmic_shared) != 0 ? "yes" : "no");
  facts.add("read-only", info.read_only ? "yes" : "no");
  facts.add("atomic write", fmt::format("{} blocks", info.atomic_write_blocks));
  facts.add("compare and write", fmt::format("{} blocks", info.compare_and_write_blocks));
  if (info.optimal_io_boundary != 0) facts.add("boundary", fmt::format("{} blocks", info.optimal_io_boundary));
  std::vector<std::string> formats;
  for (std::size_t i = 0; i <= std::min<std::size_t>(data.nlbaf, data.lbaf.size() - 1); ++i) {
    if (data.lbaf[i].block_size() == 0) continue;
    formats.push_back(fmt::format("{}: {}", i, format_name(data.lbaf[i])));
  }
  facts.add("formats", fmt::format("{}", fmt::join(formats, ", ")));
  facts.print(out);
}

}  // namespace spdkio::tool
