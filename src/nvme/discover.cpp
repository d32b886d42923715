#include <spdkio/base/error_context.hpp>
#include <spdkio/nvme/discover.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/nvme/controller.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "nvme/controller_core.hpp"
#include "nvme/discovery_log.hpp"

namespace spdkio::nvme {
namespace {

namespace discovery = spec::discovery;

constexpr std::uint64_t most_entries = 16384;
constexpr std::uint32_t entries_per_read = 64;
constexpr int most_attempts = 8;

std::string padded_text(const auto& field) {
  std::string_view text = spec::fabrics::field_text(field);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return std::string(text);
}

Task<discovery::LogHeader> read_header(std::shared_ptr<ControllerCore> core) {
  const DmaBuf buffer(sizeof(discovery::LogHeader));
  auto reading = core->admin(spec::get_log_page_command(spec::LogPage::discovery, sizeof(discovery::LogHeader), 0, 0),
                             buffer, "get_log_page");
  co_await std::move(reading);
  discovery::LogHeader header;
  std::memcpy(&header, buffer.data(), sizeof header);
  co_return header;
}

/// The whole page, or nothing when it changed meanwhile.
Task<std::optional<std::vector<DiscoveryEntry>>> read_once(std::shared_ptr<ControllerCore> core) {
  auto reading_first = read_header(core);
  const discovery::LogHeader first = co_await std::move(reading_first);
  if (first.numrec > most_entries) {
    throw Error(std::errc::protocol_error,
                fmt::format("the discovery log says that it has {} entries", first.numrec.value()))
        .with_device(core->settings().name);
  }
  std::vector<DiscoveryEntry> entries;
  const DmaBuf buffer(entries_per_read * sizeof(discovery::LogEntry));
  while (entries.size() < first.numrec) {
    const auto count =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(first.numrec - entries.size(), entries_per_read));
    const std::uint32_t bytes = count * static_cast<std::uint32_t>(sizeof(discovery::LogEntry));
    const std::uint64_t offset = sizeof(discovery::LogHeader) + entries.size() * sizeof(discovery::LogEntry);
    auto reading = core->admin(spec::get_log_page_command(spec::LogPage::discovery, bytes, offset, 0),
                               buffer.subspan(0, bytes), "get_log_page");
    co_await std::move(reading);
    for (std::uint32_t i = 0; i < count; ++i) {
      discovery::LogEntry raw;
      std::memcpy(&raw, buffer.data() + i * sizeof raw, sizeof raw);
      entries.push_back(parse_discovery_entry(raw));
    }
  }
  auto reading_last = read_header(core);
  const discovery::LogHeader last = co_await std::move(reading_last);
  if (last.genctr != first.genctr) co_return std::nullopt;
  co_return entries;
}

Task<std::vector<DiscoveryEntry>> ask(ControllerSettings settings) {
  auto connecting = ControllerCore::connect(std::move(settings));
  const auto core = co_await std::move(connecting);
  const ErrorContext doing("reading the discovery log");
  auto reading = read_discovery_log(core);
  auto entries = co_await as_result(std::move(reading));
  auto detaching = core->detach();
  [[maybe_unused]] const auto detached = co_await as_result(std::move(detaching));
  if (!entries) throw entries.error();
  co_return std::move(*entries);
}

Task<std::vector<DiscoveryEntry>> ask_all(ControllerSettings settings, bool follow_referrals) {
  std::vector<DiscoveryEntry> all;
  std::vector<TransportId> to_ask{settings.id};
  for (std::size_t next = 0; next < to_ask.size(); ++next) {
    ControllerSettings one = settings;
    one.id = to_ask[next];
    auto asking = ask(std::move(one));
    auto entries = co_await as_result(std::move(asking));
    if (!entries) {
      if (next == 0) throw entries.error();
      log::warn("referral to {}: {}", to_ask[next].to_string(), entries.error().what());
      continue;
    }
    for (DiscoveryEntry& entry : *entries) {
      if (follow_referrals && entry.connectable && entry.type == discovery::SubsystemType::referral &&
          std::ranges::find(to_ask, entry.id) == to_ask.end() && to_ask.size() < 64) {
        to_ask.push_back(entry.id);
      }
      all.push_back(std::move(entry));
    }
  }
  co_return all;
}

}  // namespace

Task<std::vector<DiscoveryEntry>> read_discovery_log(std::shared_ptr<ControllerCore> core) {
  for (int i = 0; i < most_attempts; ++i) {
    auto reading = read_once(core);
    auto entries = co_await std::move(reading);
    if (entries) co_return std::move(*entries);
  }
  throw Error(std::errc::resource_unavailable_try_again, "the discovery log changes faster than it can be read")
      .with_device(core->settings().name);
}

DiscoveryEntry parse_discovery_entry(const discovery::LogEntry& raw) {
  DiscoveryEntry entry;
  entry.raw = raw;
  entry.type = raw.subtype;
  entry.port_id = raw.portid;
  entry.controller_id = raw.cntlid;
  entry.id.traddr = padded_text(raw.traddr);
  entry.id.trsvcid = padded_text(raw.trsvcid);
  entry.id.subnqn = padded_text(raw.subnqn);
  switch (raw.adrfam) {
    case discovery::AddressFamily::ipv4: entry.id.adrfam = AddressFamily::ipv4; break;
    case discovery::AddressFamily::ipv6: entry.id.adrfam = AddressFamily::ipv6; break;
    case discovery::AddressFamily::infiniband: entry.id.adrfam = AddressFamily::infiniband; break;
    case discovery::AddressFamily::fc: entry.id.adrfam = AddressFamily::fibre_channel; break;
    default: break;
  }
  switch (raw.trtype) {
    case discovery::TransportType::tcp: entry.id.trtype = TransportType::tcp; break;
    case discovery::TransportType::rdma: entry.id.trtype = TransportType::rdma; break;
    default: return entry;
  }
  try {
    entry.id.check();
    entry.connectable = true;
  } catch (const Error& error) {
    log::debug("discovery entry left unconnectable: {}", error.what());
  }
  return entry;
}

Task<std::vector<DiscoveryEntry>> discover(const TransportId& id, const DiscoverOptions& options) {
  ControllerOptions controller = options.controller;
  controller.discovery = true;
  controller.reconnect.enabled = false;
  ControllerSettings settings = ControllerSettings::from(id, controller);
  return ask_all(std::move(settings), options.follow_referrals);
}

}  // namespace spdkio::nvme
