// A file that a copy goes to: made, or emptied when that was allowed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace spdkio::tool {

class DestinationFile {
 public:
  /// `source_path` is that of the source, empty when it is no file.
  DestinationFile(std::string path, std::string source_path, bool overwrite)
      : path_(std::move(path)), source_path_(std::move(source_path)), overwrite_(overwrite) {}

  /// Makes a regular file of exactly the size that `source_bytes` gives, all of it a hole; leaves a block device as it
  /// is. Gives whether the destination holds only zeroes now. Throws `Failure` when something is there that must not be
  /// overwritten, or when source and destination are the same file.
  bool make_ready(const std::function<std::uint64_t()>& source_bytes) const;

 private:
  std::string path_;
  std::string source_path_;
  bool overwrite_;
};

}  // namespace spdkio::tool
