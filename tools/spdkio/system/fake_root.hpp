// A temporary folder that stands in for / in tests.
#pragma once

#include "spdkio/system/system_root.hpp"

#include <stdlib.h>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace spdkio::tool {

/// Deletes its folder at the end.
class FakeRoot {
 public:
  FakeRoot() {
    std::string name = (std::filesystem::temp_directory_path() / "spdkio-root-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  FakeRoot(const FakeRoot&) = delete;
  FakeRoot& operator=(const FakeRoot&) = delete;
  ~FakeRoot() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }

  const std::filesystem::path& path() const { return path_; }
  SystemRoot root() const { return SystemRoot{path_}; }

  FakeRoot& file(std::string_view name, std::string_view content = {}) {
    const auto where = below(name);
    std::filesystem::create_directories(where.parent_path());
    std::ofstream{where, std::ios::binary} << content;
    return *this;
  }
  FakeRoot& folder(std::string_view name) {
    std::filesystem::create_directories(below(name));
    return *this;
  }
  FakeRoot& link(std::string_view name, std::string_view target) {
    const auto where = below(name);
    std::filesystem::create_directories(where.parent_path());
    std::filesystem::create_symlink(target, where);
    return *this;
  }

 private:
  std::filesystem::path below(std::string_view name) const {
    return path_ / std::filesystem::path{name}.relative_path();
  }
  std::filesystem::path path_;
};

}  // namespace spdkio::tool
