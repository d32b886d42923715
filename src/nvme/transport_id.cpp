#include <spdkio/nvme/transport_id.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <optional>
#include <utility>

namespace spdkio::nvme {
namespace {

constexpr std::size_t most_chars_of_text = 4096;
constexpr std::size_t most_chars_of_address = 256;  // TRADDR of a discovery log entry

[[noreturn]] void refuse(std::string message) {
  throw Error(Misuse::invalid_argument, std::move(message)).with_operation("TransportId");
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_word(std::string_view a, std::string_view b) noexcept { return std::ranges::equal(a, b, {}, lower, lower); }

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// For messages: what came from outside, cut and without control characters.
std::string in_quotes(std::string_view text) {
  constexpr std::size_t most = 80;
  std::string result = "'";
  for (const char c : text.substr(0, most)) result += c >= 0x20 && c < 0x7F ? c : '?';
  if (text.size() > most) result += "...";
  return result + "'";
}

template <class T>
std::optional<T> whole_number(std::string_view text, int base = 10) noexcept {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// `dddd:bb:dd.f` in hexadecimal, with or without the domain; in full and in lower case, or nothing.
std::optional<std::string> pci_address(std::string_view text) {
  const std::size_t dot = text.rfind('.');
  const std::size_t colon = text.rfind(':');
  if (dot == std::string_view::npos || colon == std::string_view::npos || dot < colon) return std::nullopt;
  const std::size_t first = text.find(':');
  const std::string_view domain = first == colon ? "0" : text.substr(0, first);
  const std::string_view bus = first == colon ? text.substr(0, colon) : text.substr(first + 1, colon - first - 1);
  const auto domain_value = whole_number<std::uint32_t>(domain, 16);
  const auto bus_value = whole_number<std::uint8_t>(bus, 16);
  const auto device_value = whole_number<std::uint8_t>(text.substr(colon + 1, dot - colon - 1), 16);
  const auto function_value = whole_number<std::uint8_t>(text.substr(dot + 1), 16);
  if (!domain_value || !bus_value || !device_value || !function_value) return std::nullopt;
  if (*device_value > 0x1F || *function_value > 7) return std::nullopt;
  return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", *domain_value, *bus_value, *device_value, *function_value);
}

void check_port(std::string_view key, std::string_view text) {
  const auto port = whole_number<std::uint16_t>(text);
  if (!port) refuse(fmt::format("{} {} is not a port: a number from 0 to 65535", key, in_quotes(text)));
}

void check_host(std::string_view key, std::string_view text) {
  if (text.empty() || text.size() > most_chars_of_address) {
    refuse(fmt::format("{} has {} characters; 1 to {} are possible", key, text.size(), most_chars_of_address));
  }
  const auto odd = [](char c) { return c <= 0x20 || c >= 0x7F || c == '[' || c == ']' || c == '/'; };
  if (std::ranges::any_of(text, odd)) refuse(fmt::format("{} {} is no address and no host name", key, in_quotes(text)));
}

std::string without_brackets(std::string_view host) {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return std::string(host);
}

AddressFamily family_of(std::string_view host) noexcept {
  if (host.find(':') != std::string_view::npos) return AddressFamily::ipv6;
  const bool numeric =
      !host.empty() && std::ranges::all_of(host, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
  return numeric ? AddressFamily::ipv4 : AddressFamily::unspecified;
}

TransportId fabrics_id(TransportType type, std::string_view host, std::uint16_t port, std::string_view subnqn) {
  TransportId id;
  id.trtype = type;
  id.traddr = without_brackets(host);
  id.adrfam = family_of(id.traddr);
  id.trsvcid = std::to_string(port);
  id.subnqn = subnqn;
  id.check();
  return id;
}

TransportType type_from(std::string_view text) {
  for (const auto type : {TransportType::pcie, TransportType::tcp, TransportType::rdma}) {
    if (same_word(text, to_string(type))) return type;
  }
  refuse(fmt::format("trtype {} is unknown: PCIe, TCP and RDMA are known", in_quotes(text)));
}

AddressFamily family_from(std::string_view text) {
  for (const auto family :
       {AddressFamily::ipv4, AddressFamily::ipv6, AddressFamily::infiniband, AddressFamily::fibre_channel}) {
    if (same_word(text, to_string(family))) return family;
  }
  refuse(fmt::format("adrfam {} is unknown: IPv4, IPv6, IB and FC are known", in_quotes(text)));
}

}  // namespace

std::string_view to_string(TransportType type) noexcept {
  switch (type) {
    case TransportType::pcie: return "PCIe";
    case TransportType::tcp: return "TCP";
    case TransportType::rdma: return "RDMA";
  }
  return "unknown";
}

std::string_view to_string(AddressFamily family) noexcept {
  switch (family) {
    case AddressFamily::unspecified: return "";
    case AddressFamily::ipv4: return "IPv4";
    case AddressFamily::ipv6: return "IPv6";
    case AddressFamily::infiniband: return "IB";
    case AddressFamily::fibre_channel: return "FC";
  }
  return "";
}

TransportId TransportId::tcp(std::string_view host, std::uint16_t port, std::string_view subnqn) {
  return fabrics_id(TransportType::tcp, host, port, subnqn);
}

TransportId TransportId::rdma(std::string_view host, std::uint16_t port, std::string_view subnqn) {
  return fabrics_id(TransportType::rdma, host, port, subnqn);
}

TransportId TransportId::pcie(std::string_view address) {
  auto full = pci_address(address);
  if (!full) refuse(fmt::format("traddr {} is no PCI address such as 0000:01:00.0", in_quotes(address)));
  TransportId id;
  id.traddr = std::move(*full);
  return id;
}

TransportId TransportId::parse(std::string_view text) {
  if (text.size() > most_chars_of_text) {
    refuse(fmt::format("{} characters are too many, at most {}", text.size(), most_chars_of_text));
  }
  enum Key : std::size_t { trtype, adrfam, traddr, trsvcid, subnqn, hostaddr, hostsvcid, priority, key_count };
  static constexpr std::array<std::string_view, key_count> names{"trtype", "adrfam",   "traddr",    "trsvcid",
                                                                 "subnqn", "hostaddr", "hostsvcid", "priority"};
  std::array<std::optional<std::string_view>, key_count> values;
  for (std::size_t at = 0; at < text.size();) {
    if (is_space(text[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && !is_space(text[end])) ++end;
    const std::string_view pair = text.substr(at, end - at);
    const std::size_t separator = pair.find_first_of(":=");
    if (separator == std::string_view::npos) {
      refuse(fmt::format("{} at position {} is not of the form key:value", in_quotes(pair), at));
    }
    const std::string_view key = pair.substr(0, separator);
    const auto name = std::ranges::find_if(names, [&](std::string_view known) { return same_word(known, key); });
    if (name == names.end()) {
      refuse(
          fmt::format("the key {} at position {} is unknown: trtype, adrfam, traddr, trsvcid, subnqn, hostaddr, "
                      "hostsvcid and priority are known",
                      in_quotes(key), at));
    }
    auto& value = values[static_cast<std::size_t>(name - names.begin())];
    if (value) refuse(fmt::format("{} stands twice", *name));
    value = pair.substr(separator + 1);
    if (value->empty()) refuse(fmt::format("{} has no value", *name));
    at = end;
  }

  if (!values[trtype]) refuse("trtype is missing");
  TransportId id;
  id.trtype = type_from(*values[trtype]);
  if (values[adrfam]) id.adrfam = family_from(*values[adrfam]);
  if (values[traddr]) id.traddr = without_brackets(*values[traddr]);
  if (values[trsvcid]) id.trsvcid = *values[trsvcid];
  if (values[subnqn]) id.subnqn = *values[subnqn];
  if (values[hostaddr]) id.hostaddr = without_brackets(*values[hostaddr]);
  if (values[hostsvcid]) id.hostsvcid = *values[hostsvcid];
  if (values[priority]) {
    const auto number = whole_number<int>(*values[priority]);
    if (!number) refuse(fmt::format("priority {} is not a number", in_quotes(*values[priority])));
    id.priority = *number;
  }
  if (id.trtype == TransportType::pcie) {
    auto full = pci_address(id.traddr);
    if (!full) refuse(fmt::format("traddr {} is no PCI address such as 0000:01:00.0", in_quotes(id.traddr)));
    id.traddr = std::move(*full);
  } else if (id.adrfam == AddressFamily::unspecified) {
    id.adrfam = family_of(id.traddr);
  }
  id.check();
  return id;
}

void TransportId::check() const {
  if (trtype == TransportType::pcie) {
    if (!pci_address(traddr))
      refuse(fmt::format("traddr {} is no PCI address such as 0000:01:00.0", in_quotes(traddr)));
    return;
  }
  check_host("traddr", traddr);
  if (trsvcid.empty()) refuse("trsvcid is missing: the port");
  check_port("trsvcid", trsvcid);
  if (!hostaddr.empty()) check_host("hostaddr", hostaddr);
  if (!hostsvcid.empty()) check_port("hostsvcid", hostsvcid);
  const auto family = family_of(traddr);
  const bool mismatch = (adrfam == AddressFamily::ipv4 && family == AddressFamily::ipv6) ||
                        (adrfam == AddressFamily::ipv6 && family == AddressFamily::ipv4);
  if (mismatch) {
    refuse(fmt::format("traddr {} is no {} address", in_quotes(traddr), spdkio::nvme::to_string(adrfam)));
  }
  if (!subnqn.empty()) {
    const std::string problem = spec::fabrics::nqn_problem(subnqn);
    if (!problem.empty()) refuse(fmt::format("subnqn {}: {}", in_quotes(subnqn), problem));
  }
}

std::string TransportId::to_string() const {
  std::string text = fmt::format("trtype:{}", spdkio::nvme::to_string(trtype));
  const auto add = [&text](std::string_view key, std::string_view value) {
    if (!value.empty()) fmt::format_to(std::back_inserter(text), " {}:{}", key, value);
  };
  add("adrfam", spdkio::nvme::to_string(adrfam));
  add("traddr", traddr);
  add("trsvcid", trsvcid);
  add("subnqn", subnqn);
  add("hostaddr", hostaddr);
  add("hostsvcid", hostsvcid);
  if (priority != 0) fmt::format_to(std::back_inserter(text), " priority:{}", priority);
  return text;
}

std::uint16_t TransportId::port() const noexcept { return whole_number<std::uint16_t>(trsvcid).value_or(0); }

}  // namespace spdkio::nvme
