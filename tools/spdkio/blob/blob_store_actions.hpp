// What `spdkio blob` does with a store, inside a running App.
#pragma once

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

// All results are what --json shows. `bdev` is the device that the store is on.
Task<Json> create_blob_store(std::string bdev, NewBlobStore options);
/// Store and blobs; with `id`, that blob with its xattrs and where its data lies.
Task<Json> show_blob_store(std::string bdev, std::optional<blob::BlobId> id);
/// Looks at all metadata. `repair` deletes what is damaged.
Task<Json> check_blob_store(std::string bdev, bool repair);

}  // namespace spdkio::tool
