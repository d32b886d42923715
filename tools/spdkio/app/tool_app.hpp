// The library's App as commands of this program start it.
#pragma once

#include "spdkio/cli/session.hpp"
#include "spdkio/device/device_spec.hpp"

#include <spdkio/app/app_options.hpp>

namespace spdkio::tool {

/// Engine from the global options, devices from the plan. Sets what is logged: warnings, or everything with --verbose.
AppOptions tool_app_options(const Session& session, const DevicePlan& devices);

}  // namespace spdkio::tool
