#include "app/engine_module.hpp"

#include <spdkio/base/error.hpp>

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/linked_engine.hpp"

namespace spdkio::app {
namespace {

/// The folder that this library was loaded from; of the program when it is linked statically.
std::string own_folder() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&start_engine_module), &info) == 0 || info.dli_fname == nullptr) return {};
  std::error_code ignored;
  return std::filesystem::absolute(info.dli_fname, ignored).parent_path().string();
}

std::vector<std::string> search_folders() {
  std::vector<std::string> folders;
  if (const char* path = std::getenv("SPDKIO_ENGINE_PATH")) {
    const std::string_view all = path;
    for (std::size_t begin = 0; begin <= all.size();) {
      const std::size_t end = std::min(all.find(':', begin), all.size());
      if (end > begin) folders.emplace_back(all.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  if (auto folder = own_folder(); !folder.empty()) folders.push_back(std::move(folder));
  return folders;
}

struct Loaded {
  void* handle;
  std::string path;
};

Loaded load(std::string_view name) {
  const std::string file = fmt::format("libspdkio-engine-{}.so", name);
  const auto folders = search_folders();
  for (const std::string& folder : folders) {
    const std::string path = fmt::format("{}/{}", folder, file);
    if (::access(path.c_str(), F_OK) != 0) continue;
    if (void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) return {handle, path};
    throw Error(Misuse::invalid_argument, fmt::format("engine module {} can't be loaded: {}", path, ::dlerror()));
  }
  if (void* handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) return {handle, file};
  throw Error(std::errc::no_such_file_or_directory,
              fmt::format("the engine '{}' is not installed: no {} in {} or where the dynamic linker looks", name, file,
                          fmt::join(folders, ", ")))
      .with_hint("install its package, or name its folder in SPDKIO_ENGINE_PATH");
}

}  // namespace

std::unique_ptr<engine::Engine> start_engine_module(std::string_view name, const EnvOptions& options,
                                                    bool main_on_caller) {
  const Loaded module = load(name);
  auto* const start = reinterpret_cast<engine::StartEngine*>(::dlsym(module.handle, "spdkio_start_engine"));
  if (start == nullptr) {
    throw Error(Misuse::invalid_argument,
                fmt::format("{} is no engine module: it has no spdkio_start_engine", module.path));
  }
  std::unique_ptr<engine::Engine> engine(start(SPDKIO_VERSION, options, main_on_caller));
  if (engine == nullptr) {
    throw Error(Misuse::invalid_argument,
                fmt::format("{} was built for another version than {} of this library", module.path, SPDKIO_VERSION));
  }
  return engine;
}

}  // namespace spdkio::app
