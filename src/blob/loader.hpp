// Loader: from what is on the device to the blobs of a Store. Trusts nothing that it reads.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "blob/store.hpp"

namespace spdkio::blob {

/// Used once. A blob whose metadata makes no sense is kept apart as damaged; so is one that needs it, and one that
/// claims what another has.
class Loader {
 public:
  explicit Loader(Store& store) noexcept : store_(store), disk_(store.disk_) {}
  /// Throws EILSEQ without a store, ENXIO for another type.
  Task<> run(const std::string& type, bool recover);

 private:
  /// A blob as it was read, before anything is said about the others.
  struct Draft {
    explicit Draft(std::uint32_t root_page) : root(root_page), node(std::make_unique<BlobNode>(root_page)) {}
    std::uint32_t root;
    std::unique_ptr<BlobNode> node;  ///< the store's from claim_all on
    format::BlobMetadata metadata;
    std::vector<std::pair<std::uint32_t, std::vector<std::uint32_t>>> extents;  ///< first index, clusters
    bool dropped = false;
    bool changed = false;  ///< to be written
  };

  Task<> find_roots(std::uint32_t end);
  Task<> look_for_roots(std::uint32_t first, std::uint32_t count);
  void look_at(std::uint32_t number, const format::MetadataPage& page);
  Task<> read_blob(Draft& draft);
  Task<format::Checked<>> read_chain(Draft& draft);
  struct Extent;
  Task<> read_extent(Extent& extent);
  Task<format::Checked<>> read_extents(Draft& draft);
  void settle_interrupted();
  void claim_all();
  /// What is wrong with it, or nothing; then all it has is its own.
  format::Checked<> claim(Draft& draft);
  void claim_what_is_free(const Draft& draft);
  void connect_clones();
  Task<> write_changes();
  Draft* find(std::uint64_t id) noexcept;

  Store& store_;
  MetadataDisk& disk_;
  std::vector<std::uint32_t> roots_;
  std::vector<Draft> drafts_;  ///< in the order of their root pages
};

}  // namespace spdkio::blob
