// TransportSettings: the options of a transport, with texts of their own.
#pragma once

#include <spdkio/nvmf/transport.hpp>

#include <string>

namespace spdkio::nvmf {

/// The granularity of the keep-alive timer, and how late its end may be seen.
inline constexpr std::uint32_t keep_alive_granularity_ms = 1000;

struct TransportSettings : TransportOptions {
  TransportSettings() = default;
  explicit TransportSettings(const TransportOptions& options)
      : TransportOptions(options), congestion_control_text(options.congestion_control) {
    congestion_control = {};
  }
  std::string congestion_control_text;
};

/// Throws Misuse::invalid_argument that names the option.
void check_options(const TransportOptions& options);

}  // namespace spdkio::nvmf
