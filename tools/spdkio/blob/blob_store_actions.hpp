// What `spdkio blob` does with a store, inside a running App.
#pragma once

#include "spdkio/terminal/terminal.hpp"

#include <spdkio/app/app.hpp>
#include <spdkio/blob/blobstore.hpp>
#include <spdkio/rpc/json.hpp>
#include <spdkio/runtime/task.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace spdkio::tool {

struct NewBlobStore {
  std::uint32_t cluster_size = 1 << 20;
  std::uint32_t metadata_pages = 0;
  std::string type;
  bool overwrite = false;  ///< also when there is a store
};

/// One of the two is a blob.
struct BlobCopy {
  std::string device;              ///< name of the other one
  std::optional<blob::BlobId> id;  ///< none: a new, thin one
  bool into_store = false;
};

struct BlobCopyOutcome {
  blob::BlobId id;
  std::uint64_t bytes = 0;
  std::uint64_t hole_bytes = 0;  ///< zeros that were not written
};

// All results are what --json shows. `bdev` is the device that the store is on.
Task<Json> create_blob_store(std::string bdev, NewBlobStore options);
/// Store and blobs; with `id`, that blob with its xattrs and where its data lies.
Task<Json> show_blob_store(std::string bdev, std::optional<blob::BlobId> id);
/// Looks at all metadata. `repair` deletes what is damaged.
Task<Json> check_blob_store(std::string bdev, bool repair);
Task<std::uint64_t> blob_bytes(std::string bdev, blob::BlobId id);
Task<BlobCopyOutcome> copy_blob(App& app, std::string bdev, BlobCopy copy, const Terminal& terminal);

}  // namespace spdkio::tool
