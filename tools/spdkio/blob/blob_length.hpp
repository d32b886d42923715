// How many bytes of a blob count: a blob is whole clusters, what was copied into it need not be.
#pragma once

#include <spdkio/blob/blob.hpp>

#include <cstdint>
#include <optional>

namespace spdkio::tool {

/// What the xattr `length` says, in the form of SPDK's BlobFS: 8 bytes, little endian. Nothing without one, or when it
/// is no length that the blob can have.
std::optional<std::uint64_t> length_of(const blob::Blob& blob);
/// Durable when the blob is synced or closed.
void set_length(blob::Blob& blob, std::uint64_t bytes);

}  // namespace spdkio::tool
