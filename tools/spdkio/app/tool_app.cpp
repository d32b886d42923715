
#include "spdkio/app/tool_app.hpp"

#include <spdkio/base/log.hpp>

namespace spdkio::tool {

AppOptions tool_app_options(const Session& session, const DevicePlan& devices) {
  log::set_level(session.global.verbose ? log::Level::debug : log::Level::warn);
  AppOptions options;
  options.engine = session.global.engine;
  if (!devices.config().empty()) options.json_data = rpc::dump_json(devices.config());
  return options;
}

}  // namespace spdkio::tool
