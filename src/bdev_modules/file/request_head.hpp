// RequestHead: the start of what every channel of this module keeps in a request.
#pragma once

#include <spdkio/bdev/io.hpp>

#include <cstdint>

namespace spdkio::bdev::file {

/// Who has the request.
enum class Stage : std::uint8_t {
  waiting,    ///< queued for room in the ring
  submitted,  ///< in the ring, or in the kernel
  helper,     ///< with the helper threads
  reset       ///< waits for others to end
};

/// First in the context of the request, so that it can be read whatever else is there.
struct RequestHead {
  Stage stage = Stage::waiting;
  bool stop_wanted = false;   ///< the submitter would like it to end early
  std::uint8_t epoch = 0;     ///< see InFlight
  std::uint8_t attempts = 0;  ///< how often the kernel asked to try again
};

inline RequestHead& head_of(Io& io) noexcept { return io.context<RequestHead>(); }

}  // namespace spdkio::bdev::file
