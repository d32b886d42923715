#include "engine_spdk/nvmf/target_transport.hpp"

#include <spdkio/base/error.hpp>

#include <fmt/format.h>

#include <spdk/json.h>
#include <spdk/thread.h>

#include <algorithm>
#include <cstdint>

#include "engine_spdk/spdk_log.hpp"

namespace spdkio::spdk {
namespace {

using nvme::TransportType;
using nvmf::TransportOptions;
using nvmf::TransportSettings;

constexpr std::size_t most_json_values = 16;

[[noreturn]] void refuse(std::string_view option, std::string_view why) {
  throw Error(Misuse::not_supported, fmt::format("{}: {}", option, why))
      .with_operation("add_transport")
      .with_hint("leave TransportOptions::" + std::string(option) + " as it is, or use Provider::library");
}

/// What has another value than the default one would be ignored by SPDK.
void check_unknown_to_spdk(TransportType type, const TransportSettings& settings) {
  const TransportOptions usual;
  if (settings.buffer_bytes != usual.buffer_bytes) {
    refuse("buffer_bytes", "SPDK's target takes its buffers from the pools that iobuf_set_options sizes");
  }
  if (settings.max_connections != usual.max_connections) {
    refuse("max_connections", "SPDK's target has no such limit");
  }
  if (settings.connect_timeout != usual.connect_timeout) {
    refuse("connect_timeout", "SPDK's target does not time connections");
  }
  if (!settings.congestion_control_text.empty() && settings.congestion_control_text != usual.congestion_control) {
    refuse("congestion_control", "SPDK's target uses the system's");
  }
  if (settings.backlog != usual.backlog) refuse("backlog", "SPDK's target has one of 512");
  if (!settings.allow_header_digest) refuse("allow_header_digest", "SPDK's target always allows them");
  if (!settings.allow_data_digest) refuse("allow_data_digest", "SPDK's target always allows them");
  if (type == TransportType::tcp) return;
  if (settings.c2h_success != usual.c2h_success) refuse("c2h_success", "of NVMe/TCP alone");
  if (settings.sock_priority != usual.sock_priority) refuse("sock_priority", "of NVMe/TCP alone");
}

/// By default the poll groups of one target keep half of SPDK's pools for themselves, and those of the next find none.
template <class Options>
void limit_caches(Options& opts, std::size_t poll_groups) {
  constexpr std::uint64_t share = 8;
  spdk_iobuf_opts pools{};
  ::spdk_iobuf_get_opts(&pools, sizeof pools);
  const auto part = [poll_groups](std::uint64_t count) {
    return static_cast<std::uint32_t>(std::max<std::uint64_t>(count / share / poll_groups, 1));
  };
  opts.buf_cache_size = part(pools.small_pool_count);
  if constexpr (requires { opts.iobuf_large_cache_size; }) opts.iobuf_large_cache_size = part(pools.large_pool_count);
}

}  // namespace

std::string_view spdk_name(TransportType type) noexcept {
  return type == TransportType::rdma ? SPDK_NVME_TRANSPORT_NAME_RDMA : SPDK_NVME_TRANSPORT_NAME_TCP;
}

std::unique_ptr<TransportRequest> to_spdk_request(TransportType type, const TransportSettings& settings,
                                                  std::size_t poll_groups) {
  nvmf::check_options(settings);
  auto request = std::make_unique<TransportRequest>();
  spdk_nvmf_transport_opts& opts = request->opts;
  const std::string name(spdk_name(type));
  std::string said;
  const LogCapture capture(said);
  const bool known = type != TransportType::pcie && ::spdk_nvmf_transport_opts_init(name.c_str(), &opts, sizeof opts);
  if (!known) {
    throw Error(Misuse::not_supported, type == TransportType::pcie
                                           ? std::string("a target does not serve over PCIe")
                                           : fmt::format("the installed SPDK has no {} transport", name))
        .with_operation("add_transport")
        .with_hint("use Transport::tcp, or an SPDK that was built with it");
  }
  check_unknown_to_spdk(type, settings);
  // One queue pair more for the admin queue.
  opts.max_qpairs_per_ctrlr = static_cast<std::uint16_t>(settings.max_io_qpairs_per_ctrlr + 1);
  opts.max_queue_depth = static_cast<std::uint16_t>(settings.max_queue_depth);
  opts.in_capsule_data_size = settings.in_capsule_data_size;
  opts.max_io_size = settings.max_io_size;
  if (opts.io_unit_size > opts.max_io_size) opts.io_unit_size = opts.max_io_size;
  opts.max_aq_depth = settings.max_aq_depth;
  limit_caches(opts, poll_groups);
  opts.opts_size = sizeof opts;
  if (type != TransportType::tcp) return request;

  request->json =
      fmt::format(R"({{"c2h_success": {}, "sock_priority": {}}})", settings.c2h_success, settings.sock_priority);
  request->values.resize(most_json_values);
  void* end = nullptr;
  const auto count = ::spdk_json_parse(request->json.data(), request->json.size(), request->values.data(),
                                       request->values.size(), &end, SPDK_JSON_PARSE_FLAG_DECODE_IN_PLACE);
  if (count <= 0) {
    throw Error(std::errc::invalid_argument, fmt::format("SPDK does not read '{}'", request->json))
        .with_operation("add_transport");
  }
  opts.transport_specific = request->values.data();
  return request;
}

}  // namespace spdkio::spdk
