// Devices as they are named on the command line: a shorthand that makes one, or the name of one from a configuration.
#pragma once

#include <spdkio/rpc/json.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::tool {

/// The list of calls of a subsystem in an SPDK-shaped configuration, made if it is not there.
Json& subsystem_calls(Json& config, std::string_view name);

/// What one word of the command line asks for.
struct DeviceSpec {
  std::string bdev_name;  ///< name under which the device is found
  Json call;              ///< `{"method": ..., "params": {...}}` that makes it; null when a configuration does
  std::string path;       ///< of a file or block device; empty for others
  bool is_new = false;    ///< this command line makes what it holds: zeroes
};

/// Collects the devices of one command line and the configuration that makes them. Reads no files but the
/// configuration.
class DevicePlan {
 public:
  /// `config_file` may be empty. Throws Error when the file cannot be read or is not a configuration.
  explicit DevicePlan(const std::string& config_file = {});

  /// `KIND:VALUE[,KEY=VALUE...]` with the kinds of `device_kinds()`, the transport id of an NVMe controller with the
  /// number of a namespace, a path (something with a slash; without a configuration also an existing file of the
  /// current folder), or the name of a device of the configuration. Throws `Failure` for what cannot be right.
  DeviceSpec add(std::string_view text);

  /// SPDK-shaped configuration: that of the file, then the devices that were added.
  const Json& config() const { return config_; }
  bool has_config_file() const { return has_config_file_; }

 private:
  std::string free_name(std::string_view stem);
  bool is_known(std::string_view name) const;
  bool is_file_here(std::string_view text) const;
  /// Throws `Failure` without a configuration.
  DeviceSpec config_device(std::string_view name) const;

  Json config_;
  bool has_config_file_ = false;
  std::vector<std::string> names_;
};

struct DeviceKind {
  std::string_view name;     ///< "malloc"
  std::string_view value;    ///< "SIZE"
  std::string_view meaning;  ///< for help texts
};
const std::vector<DeviceKind>& device_kinds();
/// Lines for help pages.
std::string device_spec_help();

/// A parameter's value as people type it: what reads as JSON is that, everything else is a string.
Json value_from_text(std::string_view text);

}  // namespace spdkio::tool
