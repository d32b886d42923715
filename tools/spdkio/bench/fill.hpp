// Data on every block before anything is measured: memory and disks that were never written answer from nowhere.
#pragma once

#include "spdkio/terminal/terminal.hpp"

#include <spdkio/app/app.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstdint>
#include <string>

namespace spdkio::tool {

/// Writes the first `span_bytes` of the device (0: all of it) once, in order, with data that does not compress; ends
/// early when the app is stopping. Throws Error for what the device refuses.
Task<> fill_device(App& app, std::string name, std::uint64_t span_bytes, std::uint64_t seed, Terminal terminal);

}  // namespace spdkio::tool
