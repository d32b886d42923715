// The end of a file that is no whole number of blocks: block devices leave it out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace spdkio::tool {

/// How long a regular file is; nothing for anything else and for what is not there.
std::optional<std::uint64_t> file_bytes(const std::string& path);
/// The last `bytes` of a file. Throws `Failure`.
std::vector<std::byte> read_end(const std::string& path, std::size_t bytes);
/// Throws `Failure`.
void cut_file(const std::string& path, std::uint64_t bytes);

}  // namespace spdkio::tool
