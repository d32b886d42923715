#include "blob/format/blob_metadata.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace spdkio::blob::format {
namespace {

Checked<> damaged(std::string text) { return std::unexpected(std::move(text)); }

template <class T>
T load(std::span<const std::byte> from, std::size_t offset = 0) noexcept {
  T value;
  std::memcpy(&value, from.data() + offset, sizeof(T));
  return value;
}

/// More than any store can hold, and its extents still can be counted in 32 bits.
constexpr std::uint64_t max_blob_clusters = std::numeric_limits<std::uint32_t>::max();

std::uint64_t extents_of(std::uint64_t clusters) noexcept {
  return (clusters + clusters_per_extent - 1) / clusters_per_extent;
}

/// Puts descriptors into pages, a new page when the last one is full.
class ChainWriter {
 public:
  explicit ChainWriter(std::uint64_t id) : id_(id) { add_page(); }

  std::size_t room() const noexcept { return descriptor_area_bytes - used_; }
  /// `body` must fit a page.
  void add(DescriptorType type, std::span<const std::byte> body) {
    if (sizeof(DescriptorHeader) + body.size() > room()) add_page();
    const DescriptorHeader header{type, static_cast<std::uint32_t>(body.size())};
    put(&header, sizeof(header));
    put(body.data(), body.size());
  }
  std::vector<MetadataPage> take() && { return std::move(pages_); }
  void add_page() {
    MetadataPage& page = pages_.emplace_back();
    page.id = id_;
    page.sequence = static_cast<std::uint32_t>(pages_.size() - 1);
    page.next = no_page;
    used_ = 0;
  }

 private:
  void put(const void* data, std::size_t bytes) {
    std::memcpy(pages_.back().descriptors.data() + used_, data, bytes);
    used_ += bytes;
  }
  std::uint64_t id_;
  std::vector<MetadataPage> pages_;
  std::size_t used_ = 0;
};

template <class T>
void append(std::vector<std::byte>& to, const T& value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  to.insert(to.end(), bytes, bytes + sizeof(T));
}

void write_xattrs(ChainWriter& writer, const Xattrs& xattrs, DescriptorType type) {
  std::vector<std::byte> body;
  for (const auto& [name, value] : xattrs) {
    body.clear();
    append(body, XattrDescriptor{static_cast<std::uint16_t>(name.size()), static_cast<std::uint16_t>(value.size())});
    const auto* text = reinterpret_cast<const std::byte*>(name.data());
    body.insert(body.end(), text, text + name.size());
    body.insert(body.end(), value.begin(), value.end());
    writer.add(type, body);
  }
}

/// As many descriptors as are needed, each with `prefix` and as many entries as fit; one even without entries.
template <class Entry>
void write_entries(ChainWriter& writer, DescriptorType type, std::span<const std::byte> prefix,
                   std::span<const Entry> entries, bool at_least_one) {
  std::vector<std::byte> body;
  while (!entries.empty() || at_least_one) {
    at_least_one = false;
    const std::size_t fixed = sizeof(DescriptorHeader) + prefix.size();
    if (writer.room() < fixed + (entries.empty() ? 0 : sizeof(Entry))) writer.add_page();
    const std::size_t count = std::min(entries.size(), (writer.room() - fixed) / sizeof(Entry));
    body.assign(prefix.begin(), prefix.end());
    for (const Entry& entry : entries.first(count)) append(body, entry);
    writer.add(type, body);
    entries = entries.subspan(count);
  }
}

}  // namespace

bool MetadataPage::all_zero() const noexcept {
  return std::ranges::all_of(bytes(), [](std::byte value) { return value == std::byte{0}; });
}

std::optional<std::uint64_t> BlobMetadata::internal_id(std::string_view name) const {
  const auto found = internal_xattrs.find(name);
  if (found == internal_xattrs.end() || found->second.size() != sizeof(Le64)) return std::nullopt;
  return load<Le64>(found->second).value();
}

void BlobMetadata::set_internal_id(std::string_view name, std::uint64_t value) {
  std::vector<std::byte> bytes;
  append(bytes, Le64{value});
  internal_xattrs.insert_or_assign(std::string(name), std::move(bytes));
  flags.invalid = flags.invalid | flag::internal_xattrs;
}

Checked<> MetadataReader::add_page(const MetadataPage& page) {
  std::span<const std::byte> rest = page.descriptors;
  while (rest.size() >= sizeof(DescriptorHeader)) {
    const auto header = load<DescriptorHeader>(rest);
    rest = rest.subspan(sizeof(DescriptorHeader));
    if (header.type == DescriptorType::padding && header.length == 0) break;
    if (header.length > rest.size()) return damaged("a descriptor is longer than its page");
    const auto body = rest.first(header.length);
    rest = rest.subspan(header.length);
    Checked<> done;
    switch (header.type) {
      case DescriptorType::flags: done = add_flags(body); break;
      case DescriptorType::xattr: done = add_xattr(body, blob_.xattrs); break;
      case DescriptorType::internal_xattr: done = add_xattr(body, blob_.internal_xattrs); break;
      case DescriptorType::extent_rle: done = add_runs(body); break;
      case DescriptorType::extent_table: done = add_table(body); break;
      case DescriptorType::extent_page: done = damaged("an extent page stands in the chain"); break;
      default: break;  // of a later version: what must not be ignored has a flag of its own
    }
    if (!done) return done;
  }
  return {};
}

Checked<> MetadataReader::add_flags(std::span<const std::byte> body) {
  if (body.size() != sizeof(FlagsDescriptor)) return damaged("the flags have a wrong length");
  blob_.flags = load<FlagsDescriptor>(body);
  return {};
}

Checked<> MetadataReader::add_xattr(std::span<const std::byte> body, Xattrs& to) {
  if (body.size() < sizeof(XattrDescriptor)) return damaged("an xattr is too short");
  const auto lengths = load<XattrDescriptor>(body);
  body = body.subspan(sizeof(XattrDescriptor));
  if (body.size() != std::size_t{lengths.name_length} + lengths.value_length) {
    return damaged("an xattr has a wrong length");
  }
  const auto name = body.first(lengths.name_length);
  const auto value = body.subspan(lengths.name_length);
  to.insert_or_assign(std::string(reinterpret_cast<const char*>(name.data()), name.size()),
                      std::vector<std::byte>(value.begin(), value.end()));
  return {};
}

Checked<> MetadataReader::add_runs(std::span<const std::byte> body) {
  if (any_table_) return damaged("it has both an extent table and runs");
  any_runs_ = true;
  if (body.empty() || body.size() % sizeof(ClusterRun) != 0) return damaged("the runs have a wrong length");
  for (std::size_t at = 0; at < body.size(); at += sizeof(ClusterRun)) {
    const auto run = load<ClusterRun>(body, at);
    if (run.cluster != 0) {
      if (run.cluster < limits_.first_data_cluster || run.cluster >= limits_.total_clusters ||
          run.count > limits_.total_clusters - run.cluster) {
        return damaged("a run of clusters lies outside of the store");
      }
      allocated_ += run.count;
      if (allocated_ > limits_.total_clusters) return damaged("it has more clusters than the store");
    }
    blob_.num_clusters += run.count;
    if (blob_.num_clusters > max_blob_clusters) return damaged("it has more clusters than can be counted");
    if (run.count != 0) blob_.runs.push_back(run);
  }
  return {};
}

Checked<> MetadataReader::add_table(std::span<const std::byte> body) {
  if (any_runs_) return damaged("it has both an extent table and runs");
  if (body.size() < sizeof(Le64) || (body.size() - sizeof(Le64)) % sizeof(ExtentTableEntry) != 0) {
    return damaged("the extent table has a wrong length");
  }
  const std::uint64_t clusters = load<Le64>(body);
  if (any_table_ && clusters != blob_.num_clusters) return damaged("the extent table gives two sizes");
  if (clusters > max_blob_clusters) return damaged("it has more clusters than can be counted");
  any_table_ = true;
  blob_.num_clusters = clusters;
  for (std::size_t at = sizeof(Le64); at < body.size(); at += sizeof(ExtentTableEntry)) {
    const auto entry = load<ExtentTableEntry>(body, at);
    if (entry.page != 0 && (entry.count != 1 || entry.page >= limits_.md_len)) {
      return damaged("the extent table names a page that can't be");
    }
    extents_ += entry.count;
    if (extents_ > extents_of(clusters)) return damaged("the extent table is longer than the blob");
    if (entry.count != 0) blob_.table.push_back(entry);
  }
  return {};
}

Checked<BlobMetadata> MetadataReader::finish(std::uint64_t id) && {
  blob_.id = id;
  blob_.extent_table = any_table_ || (blob_.flags.invalid & flag::extent_table) != 0;
  if (blob_.extent_table && any_runs_) return std::unexpected("its flags say extent table, but it has runs");
  if ((blob_.flags.invalid & ~flag::known_invalid) != 0) {
    return std::unexpected("it needs a feature that this library does not have");
  }
  if (any_table_ && extents_ != extents_of(blob_.num_clusters)) {
    return std::unexpected("the extent table is shorter than the blob");
  }
  const auto hole = [](const auto& entries, auto value) {
    return std::ranges::any_of(entries, [&](const auto& entry) { return value(entry) == 0; });
  };
  if (!blob_.thin() && (hole(blob_.table, [](const ExtentTableEntry& entry) { return entry.page.value(); }) ||
                        hole(blob_.runs, [](const ClusterRun& run) { return run.cluster.value(); }))) {
    return std::unexpected("clusters are missing, but it is not thin");
  }
  return std::move(blob_);
}

Checked<std::vector<std::uint32_t>> read_extent_page(const MetadataPage& page, std::uint32_t first_index,
                                                     const Limits& limits) {
  if (!page.crc_holds()) return std::unexpected("the checksum of an extent page does not match");
  const std::span<const std::byte> area = page.descriptors;
  const auto header = load<DescriptorHeader>(area);
  if (page.sequence != 0 || header.type != DescriptorType::extent_page) {
    return std::unexpected("the extent table names a page that is no extent page");
  }
  const auto body = area.subspan(sizeof(header));
  if (header.length <= sizeof(Le32) || header.length > body.size() || header.length % sizeof(Le32) != 0 ||
      header.length / sizeof(Le32) - 1 > clusters_per_extent) {
    return std::unexpected("an extent page has a wrong length");
  }
  if (load<Le32>(body) != first_index) return std::unexpected("an extent page belongs to another place");
  std::vector<std::uint32_t> clusters(header.length / sizeof(Le32) - 1);
  for (std::size_t i = 0; i < clusters.size(); ++i) {
    const std::uint32_t cluster = load<Le32>(body, sizeof(Le32) * (i + 1));
    if (cluster != 0 && (cluster < limits.first_data_cluster || cluster >= limits.total_clusters)) {
      return std::unexpected("a cluster lies outside of the store");
    }
    clusters[i] = cluster;
  }
  return clusters;
}

void write_extent_page(MetadataPage& page, std::uint64_t id, std::uint32_t first_index,
                       std::span<const std::uint32_t> clusters) {
  page = {};
  page.id = id;
  page.next = no_page;
  std::byte* to = page.descriptors.data();
  const DescriptorHeader header{DescriptorType::extent_page,
                                static_cast<std::uint32_t>(sizeof(Le32) * (1 + clusters.size()))};
  std::memcpy(to, &header, sizeof(header));
  to += sizeof(header);
  const auto put = [&to](Le32 value) {
    std::memcpy(to, &value, sizeof(value));
    to += sizeof(value);
  };
  put(first_index);
  for (const std::uint32_t cluster : clusters) put(cluster);
  page.seal();
}

std::vector<MetadataPage> write_chain(const BlobMetadata& blob) {
  ChainWriter writer(blob.id);
  writer.add(DescriptorType::flags, std::as_bytes(std::span(&blob.flags, 1)));
  write_xattrs(writer, blob.xattrs, DescriptorType::xattr);
  write_xattrs(writer, blob.internal_xattrs, DescriptorType::internal_xattr);
  if (blob.extent_table) {
    const Le64 clusters = blob.num_clusters;
    write_entries<ExtentTableEntry>(writer, DescriptorType::extent_table, std::as_bytes(std::span(&clusters, 1)),
                                    blob.table, true);
  } else {
    write_entries<ClusterRun>(writer, DescriptorType::extent_rle, {}, blob.runs, false);
  }
  return std::move(writer).take();
}

void link(std::span<MetadataPage> chain, std::span<const std::uint32_t> numbers) {
  for (std::size_t i = 0; i < chain.size(); ++i) {
    if (i + 1 < chain.size()) chain[i].next = numbers[i + 1];
    chain[i].seal();
  }
}

}  // namespace spdkio::blob::format
