// Images of disks as text, so that they can be kept and looked at: the size, then one line for each run of bytes that
// are not zero: "<offset> <count>x<byte>" for equal ones, "<offset> <bytes>" otherwise. Numbers are hexadecimal.
#pragma once

#include <cstddef>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace spdkio::blob::test {

inline std::vector<std::byte> read_image(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) throw std::runtime_error("can't read " + path);
  std::vector<std::byte> image(std::stoull(line, nullptr, 16));
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string offset_text, bytes;
    words >> offset_text >> bytes;
    const std::size_t offset = std::stoull(offset_text, nullptr, 16);
    const auto byte_at = [&](std::size_t at) {
      return static_cast<std::byte>(std::stoul(bytes.substr(at, 2), nullptr, 16));
    };
    if (const auto times = bytes.find('x'); times != std::string::npos) {
      const std::size_t count = std::stoull(bytes.substr(0, times), nullptr, 16);
      for (std::size_t i = 0; i < count; ++i) image.at(offset + i) = byte_at(times + 1);
      continue;
    }
    for (std::size_t i = 0; i < bytes.size() / 2; ++i) image.at(offset + i) = byte_at(2 * i);
  }
  return image;
}

inline void write_image(const std::string& path, const std::vector<std::byte>& image) {
  std::ofstream file(path);
  file << std::hex << image.size() << '\n';
  const auto run_at = [&](std::size_t at) {
    std::size_t end = at + 1;
    while (end < image.size() && image[end] == image[at]) ++end;
    return end - at;
  };
  constexpr std::size_t long_run = 8;
  for (std::size_t at = 0; at < image.size();) {
    const std::size_t run = run_at(at);
    const auto value = [&](std::size_t where) {
      static constexpr char digits[] = "0123456789abcdef";
      const auto number = std::to_integer<unsigned>(image[where]);
      return std::string{digits[number >> 4], digits[number & 15]};
    };
    if (image[at] == std::byte{0}) {
      at += run;
    } else if (run >= long_run) {
      file << at << ' ' << run << 'x' << value(at) << '\n';
      at += run;
    } else {
      file << at << ' ';
      std::size_t end = at;
      while (end < image.size() && end - at < 40 && run_at(end) < long_run) file << value(end++);
      file << '\n';
      at = end;
    }
  }
}

}  // namespace spdkio::blob::test
