#include "spdkio/blob/file_end.hpp"

#include "spdkio/cli/failure.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace spdkio::tool {

std::optional<std::uint64_t> file_bytes(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return std::nullopt;
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  if (error) return std::nullopt;
  return bytes;
}

std::vector<std::byte> read_end(const std::string& path, std::size_t bytes) {
  std::vector<std::byte> end(bytes);
  std::ifstream file(path, std::ios::binary);
  file.seekg(-static_cast<std::streamoff>(bytes), std::ios::end);
  file.read(reinterpret_cast<char*>(end.data()), static_cast<std::streamsize>(bytes));
  if (!file) throw Failure{fmt::format("{} cannot be read: {}", path, std::strerror(errno))};
  return end;
}

void cut_file(const std::string& path, std::uint64_t bytes) {
  std::error_code error;
  std::filesystem::resize_file(path, bytes, error);
  if (error) throw Failure{fmt::format("{} cannot be made {} bytes long: {}", path, bytes, error.message())};
}

}  // namespace spdkio::tool
