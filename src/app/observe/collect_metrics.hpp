// The numbers of this process, gathered from its Threads.
#pragma once

#include <spdkio/runtime/task.hpp>

#include <string>
#include <string_view>

namespace spdkio::app {

/// Everything that is counted, as MetricsText. Each Thread copies its own counters in a message, so that nothing on
/// the I/O path is shared or locked; a Thread that is held up makes this wait, and nothing else.
Task<std::string> collect_metrics(std::string_view engine);

}  // namespace spdkio::app
