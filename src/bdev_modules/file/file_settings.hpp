// FileOptions with strings of its own.
#pragma once

#include <spdkio/bdev_modules/file.hpp>

#include <string>

namespace spdkio::bdev::file {

struct FileSettings {
  explicit FileSettings(const FileOptions& options)
      : name(options.name),
        filename(options.filename),
        block_size(options.block_size),
        read_only(options.read_only),
        direct(options.direct),
        backend(options.backend),
        style(options.style),
        fallocate(options.fallocate),
        round_down(options.round_down),
        rest_expected(options.rest_expected),
        nowait(options.nowait),
        uuid(options.uuid) {}

  std::string name;
  std::string filename;
  std::uint32_t block_size;
  bool read_only;
  DirectIo direct;
  FileBackend backend;
  FileStyle style;
  bool fallocate;
  bool round_down;
  bool rest_expected;
  bool nowait;
  Uuid uuid;
};

}  // namespace spdkio::bdev::file
