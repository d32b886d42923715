// What became of an attempt to connect that SPDK gave up: it answers with a log line.
#pragma once

#include <spdkio/base/error.hpp>

#include <string>

namespace spdkio::spdk {

/// `text` is what SPDK logged. A status of the controller's that it names is in the Error, an errno as its code; all of
/// the text is in the message.
Error connect_error(const std::string& text);

}  // namespace spdkio::spdk
