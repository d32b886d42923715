// A raw NVMe command from the command line, and what came of it.
#pragma once

#include "spdkio/terminal/terminal.hpp"

#include <spdkio/rpc/json.hpp>
#include <spdkio/spec/command.hpp>
#include <spdkio/spec/completion.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::tool {

/// As typed. Numbers may be decimal or, with 0x in front, hexadecimal.
struct PassthruOptions {
  bool io = false;  ///< on an I/O queue instead of the admin queue
  std::string opcode;
  std::string flags = "0";
  std::string nsid = "0";
  std::string cdw2 = "0", cdw3 = "0";
  std::string cdw10 = "0", cdw11 = "0", cdw12 = "0", cdw13 = "0", cdw14 = "0", cdw15 = "0";
  std::string data_len;
  std::string input_file;
  bool read = false;
  bool write = false;
};

/// A command that can be sent.
struct Passthru {
  bool io = false;
  spec::Command command;
  spec::DataTransfer direction = spec::DataTransfer::none;
  std::size_t data_bytes = 0;
  std::vector<std::byte> data;  ///< to be sent; as long as `data_bytes`, or empty
  std::string_view name;        ///< the specification's name of the command
};

/// Checks the options against each other and reads the input file. Throws `Failure` that names the option.
Passthru passthru_from(const PassthruOptions& options);

/// The command's name, dword by dword.
void print_command(const Terminal& out, const Passthru& passthru);
/// "success" and DW0, then the data as a dump.
void print_answer(const Terminal& out, const Passthru& passthru, const spec::Completion& completion,
                  std::span<const std::byte> data);
Json answer_json(const Passthru& passthru, const spec::Completion& completion, std::span<const std::byte> data);
/// Sixteen bytes a line, in hexadecimal and as text.
void print_hex(const Terminal& out, std::span<const std::byte> data);

}  // namespace spdkio::tool
