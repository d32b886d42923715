// What the tests of this folder share.
#pragma once

#include <spdkio/app/app_options.hpp>
#include <spdkio/app/env.hpp>
#include <spdkio/base/log.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <string>

namespace spdkio::app {

/// Ordinary memory, so that tests which run side by side do not fight for hugepages.
inline AppOptions test_options() { return {.name = "test", .no_huge = true}; }
inline EnvOptions test_env_options() { return {.name = "test", .no_huge = true}; }

/// A configuration with one RAM disk of 4 MiB.
inline std::string malloc_config(const std::string& name) {
  return fmt::format(R"({{"subsystems":[{{"subsystem":"bdev","config":[
      {{"method":"bdev_malloc_create","params":{{"name":"{}","num_blocks":8192,"block_size":512}}}}]}}]}})",
                     name);
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "spdkio-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = pattern;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return path_ + '/' + name; }

 private:
  std::string path_;
};

/// Keeps the log lines of a test instead of printing them.
class CapturedLog {
 public:
  CapturedLog() {
    log::set_sink([this](log::Level, std::string_view line) {
      const std::lock_guard lock(mutex_);
      text_ += std::string(line) + '\n';
    });
  }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;
  ~CapturedLog() { log::set_sink({}); }
  std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

/// Sets an environment variable for the life of the object.
class WithEnvironment {
 public:
  WithEnvironment(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  WithEnvironment(const WithEnvironment&) = delete;
  WithEnvironment& operator=(const WithEnvironment&) = delete;
  ~WithEnvironment() { ::unsetenv(name_); }

 private:
  const char* name_;
};

}  // namespace spdkio::app
