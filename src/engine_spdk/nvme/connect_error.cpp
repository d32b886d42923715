#include "engine_spdk/nvme/connect_error.hpp"

#include <spdkio/spec/fabrics.hpp>

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

namespace spdkio::spdk {
namespace {

namespace sc = spec::fabrics::sc;

std::optional<NvmeStatus> status_in(const std::string& text) {
  const auto at = text.find("sct ");
  unsigned sct = 0;
  unsigned code = 0;
  if (at == std::string::npos || std::sscanf(text.c_str() + at, "sct %u, sc %u", &sct, &code) != 2) return std::nullopt;
  if (sct > 7 || code > 0xFF) return std::nullopt;
  return NvmeStatus{.sct = static_cast<std::uint8_t>(sct), .sc = static_cast<std::uint8_t>(code)};
}

int errno_in(const std::string& text) {
  constexpr std::array known = {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ECONNRESET, EADDRNOTAVAIL,
                                ETIMEDOUT,    EACCES,       ENODEV,      EBUSY,      ENOMEM};
  for (const int value : known) {
    if (text.find(std::strerror(value)) != std::string::npos) return value;
  }
  return EIO;
}

}  // namespace

Error connect_error(const std::string& text) {
  const std::string said = text.empty() ? std::string("SPDK does not say why") : "SPDK: " + text;
  const auto status = status_in(text);
  if (!status) return Error::from_errno(errno_in(text), said);
  const Error error(*status,
                    fmt::format("the controller refused Connect: {} ({})", spec::fabrics::status_text(*status), said));
  const auto is = [&status](const NvmeStatus& other) { return status->sct == other.sct && status->sc == other.sc; };
  if (is(sc::invalid_host)) return error.with_hint("add the host's NQN to the subsystem, or set host_nqn");
  if (is(sc::invalid_parameters)) {
    return error.with_hint("is there a subsystem with this NQN on this port? nvme::discover lists them");
  }
  return error;
}

}  // namespace spdkio::spdk
