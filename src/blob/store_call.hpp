// StoreCall: what a store is doing, for the Errors that are made meanwhile.
#pragma once

#include <spdkio/blob/blob_id.hpp>

#include <fmt/format.h>

#include <string>

namespace spdkio::blob {

struct StoreCall {
  const char* name;           ///< "blob resize"
  BlobId id;                  ///< may be none
  const std::string& device;  ///< that the store is on
};

}  // namespace spdkio::blob

template <>
struct fmt::formatter<spdkio::blob::StoreCall> {
  static constexpr auto parse(format_parse_context& context) { return context.begin(); }
  static auto format(const spdkio::blob::StoreCall& call, format_context& context) {
    if (!call.id.valid()) return fmt::format_to(context.out(), "{} on {}", call.name, call.device);
    return fmt::format_to(context.out(), "{} of {} on {}", call.name, to_string(call.id), call.device);
  }
};
