// Copies between a blob and a device or file, inside a running App.
#pragma once

#include "spdkio/terminal/terminal.hpp"

#include <spdkio/app/app.hpp>
#include <spdkio/blob/blob_id.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace spdkio::tool {

/// One of the two is a blob.
struct BlobCopy {
  std::string device;              ///< name of the other one; empty: a file of less than a block
  std::optional<blob::BlobId> id;  ///< none: a new, thin one
  bool into_store = false;
  std::vector<std::byte> tail;  ///< into the store: what the file has behind the last whole block of the device
};

struct BlobCopyOutcome {
  blob::BlobId id;
  std::uint64_t bytes = 0;       ///< that count: the length of the file
  std::uint64_t hole_bytes = 0;  ///< zeros that were not written
};

/// The length that the blob was given, or its size. `bdev` is the device that the store is on.
Task<std::uint64_t> blob_bytes(std::string bdev, blob::BlobId id);
/// A blob is given the length of what is copied into it, and nothing but zeros follows behind that. A destination of
/// more bytes than the blob's length keeps what is behind the block that the length ends in; that block ends with
/// zeros.
Task<BlobCopyOutcome> copy_blob(App& app, std::string bdev, BlobCopy copy, const Terminal& terminal);

}  // namespace spdkio::tool
