// Identify data as JSON, with the specification's field names as nvme-cli writes them.
#pragma once

#include <spdkio/nvme/controller.hpp>
#include <spdkio/rpc/json.hpp>
#include <spdkio/spec/identify_controller.hpp>
#include <spdkio/spec/identify_namespace.hpp>

namespace spdkio::tool {

/// As `nvme id-ctrl --output-format=json`: raw numbers, texts without padding.
Json identify_json(const spec::IdentifyController& data);
/// As `nvme id-ns --output-format=json`.
Json identify_json(const spec::IdentifyNamespace& data);
/// A namespace: its number, its identifiers, and its Identify data.
Json namespace_json(const nvme::NamespaceInfo& info);
/// CAP, VS and what Controller derives from them.
Json properties_json(const nvme::Controller& controller);

}  // namespace spdkio::tool
