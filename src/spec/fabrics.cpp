#include <spdkio/spec/fabrics.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace spdkio::spec::fabrics {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_hex(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !is_hex(text[i])) return false;
  }
  return true;
}

/// Labels of letters, digits and dashes, each beginning with a letter and not ending with a dash (RFC 1034; a digit may
/// begin a label since RFC 1123).
std::string domain_problem(std::string_view domain) {
  constexpr std::size_t longest_label = 63;
  while (true) {
    const std::string_view label = domain.substr(0, domain.find('.'));
    if (label.empty()) return "a part of the domain is empty";
    if (label.size() > longest_label) return fmt::format("'{}' is longer than {} characters", label, longest_label);
    const auto fits = [](char c) {
      return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
    };
    if (!std::ranges::all_of(label, fits) || label.front() == '-' || label.back() == '-') {
      return fmt::format("'{}' is not part of a domain name", label);
    }
    if (label.size() == domain.size()) return {};
    domain.remove_prefix(label.size() + 1);
  }
}

/// Length of the UTF-8 sequence at the start of `text`; 0 when there is none.
std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xC2 && first < 0xE0 ? 2
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xF0 && first < 0xF5 ? 4
                                                             : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (byte(i) >> 6 != 2) return 0;
  }
  if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) || (first == 0xF0 && byte(1) < 0x90) ||
      (first == 0xF4 && byte(1) > 0x8F)) {
    return 0;
  }
  return length;
}

}  // namespace

std::string nqn_problem(std::string_view nqn) {
  if (nqn.empty()) return "it is empty";
  if (nqn.size() > max_nqn_length) return fmt::format("it has {} bytes; {} are allowed", nqn.size(), max_nqn_length);
  for (std::size_t i = 0; i < nqn.size();) {
    const std::size_t length = utf8_length(nqn.substr(i));
    if (length == 0) return fmt::format("byte {} is no UTF-8", i);
    if (length == 1 && (static_cast<unsigned char>(nqn[i]) < 0x20 || nqn[i] == 0x7F)) {
      return fmt::format("byte {} is a control character", i);
    }
    i += length;
  }
  if (nqn == discovery_nqn) return {};
  if (nqn.starts_with(uuid_nqn_prefix)) {
    return is_uuid(nqn.substr(uuid_nqn_prefix.size())) ? std::string() : "what follows ':uuid:' is no UUID";
  }
  constexpr std::size_t domain_start = std::string_view("nqn.2014-08.").size();
  if (!nqn.starts_with("nqn.") || nqn.size() < domain_start) return "it does not begin with nqn.yyyy-mm.";
  for (std::size_t i = 4; i < domain_start; ++i) {
    const bool fits = i == 8 ? nqn[i] == '-' : i == 11 ? nqn[i] == '.' : is_digit(nqn[i]);
    if (!fits) return "it does not begin with nqn.yyyy-mm.";
  }
  const std::string_view rest = nqn.substr(domain_start);
  const std::size_t colon = rest.find(':');
  if (colon == std::string_view::npos) return "no ':' follows the domain";
  if (colon + 1 == rest.size()) return "nothing follows the ':'";
  return domain_problem(rest.substr(0, colon));
}

std::string_view status_text(const NvmeStatus& status) noexcept {
  if (status.sct != static_cast<std::uint8_t>(NvmeSct::command_specific)) return status.text();
  switch (status.sc) {
    case sc::incompatible_format.sc: return "Incompatible Format";
    case sc::controller_busy.sc: return "Controller Busy";
    case sc::invalid_parameters.sc: return "Connect Invalid Parameters";
    case sc::restart_discovery.sc: return "Connect Restart Discovery";
    case sc::invalid_host.sc: return "Connect Invalid Host";
    case sc::invalid_queue_type.sc: return "Invalid Queue Type";
    case sc::discover_restart.sc: return "Discover Restart";
    case sc::authentication_required.sc: return "Authentication Required";
    default: return status.sc < 0x80 ? status.text() : std::string_view("unknown status");
  }
}

}  // namespace spdkio::spec::fabrics
