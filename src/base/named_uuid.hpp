// UUIDs that follow from a name: the same name gives the same UUID.
#pragma once

#include <spdkio/base/uuid.hpp>

#include <cstddef>
#include <span>

namespace spdkio {

/// RFC 9562, version 5: of `name` in the name space `space`.
Uuid named_uuid(const Uuid& space, std::span<const std::uint8_t> name);

}  // namespace spdkio
