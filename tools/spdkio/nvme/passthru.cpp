
#include "spdkio/nvme/passthru.hpp"

#include "spdkio/cli/failure.hpp"

#include <spdkio/base/byte_size.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/spec/fabrics.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iostream>

namespace spdkio::tool {
namespace {

constexpr std::size_t most_bytes = std::size_t{1} << 26;

std::uint32_t number(std::string_view option, std::string_view text, std::uint32_t most = UINT32_MAX) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  const std::string_view digits = hex ? text.substr(2) : text;
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 10);
  if (problem != std::errc{} || end != digits.data() + digits.size() || value > most) {
    throw Failure::usage(fmt::format("{} '{}' is not a number from 0 to {:#x}", option, text, most));
  }
  return static_cast<std::uint32_t>(value);
}

std::size_t length(std::string_view text) {
  std::uint64_t bytes = 0;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    bytes = number("--data-len", text);
  } else {
    try {
      bytes = parse_byte_size(text).value;
    } catch (const Error& error) {
      throw Failure::usage(fmt::format("--data-len: {}", error.what()));
    }
  }
  if (bytes > most_bytes) {
    throw Failure::usage(fmt::format("--data-len {} is more than {}", text, format_bytes(ByteCount{most_bytes})));
  }
  return static_cast<std::size_t>(bytes);
}

std::vector<std::byte> read_all(const std::string& path, std::size_t most) {
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file) throw Failure{fmt::format("{} can't be read: {}", path, std::strerror(errno))};
  }
  std::istream& in = path == "-" ? std::cin : file;
  std::vector<std::byte> data(most + 1);
  in.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size()));
  if (in.bad()) throw Failure{fmt::format("{} can't be read", path)};
  data.resize(static_cast<std::size_t>(in.gcount()));
  return data;
}

/// Commands that would pull the rug from under the library, or never end.
void refuse_reserved(bool io, std::uint8_t opcode) {
  if (io) return;
  switch (static_cast<spec::AdminOpcode>(opcode)) {
    case spec::AdminOpcode::create_io_sq:
    case spec::AdminOpcode::create_io_cq:
    case spec::AdminOpcode::delete_io_sq:
    case spec::AdminOpcode::delete_io_cq:
    case spec::AdminOpcode::async_event_request:
    case spec::AdminOpcode::doorbell_buffer_config:
      throw Failure::usage(fmt::format("{} is the library's own: it looks after queues and events",
                                       spec::to_string(static_cast<spec::AdminOpcode>(opcode))));
    default: break;
  }
}

spec::DataTransfer direction_of(const PassthruOptions& options, const spec::Command& command) {
  if (options.read && options.write) throw Failure::usage("--read and --write exclude each other");
  const spec::DataTransfer natural =
      options.io ? spec::data_transfer_of(command.opcode) : spec::fabrics::data_transfer_of(command);
  if (options.read && natural == spec::DataTransfer::host_to_controller)
    throw Failure::usage(fmt::format("opcode {:#04x} sends data to the controller: --write", command.opcode));
  if (options.write && natural == spec::DataTransfer::controller_to_host)
    throw Failure::usage(fmt::format("opcode {:#04x} gets data from the controller: --read", command.opcode));
  if ((options.read || options.write) && natural == spec::DataTransfer::none)
    throw Failure::usage(fmt::format("opcode {:#04x} has no data", command.opcode));
  if (natural == spec::DataTransfer::both && options.read) return spec::DataTransfer::controller_to_host;
  if (natural == spec::DataTransfer::both && options.write) return spec::DataTransfer::host_to_controller;
  return natural;
}

std::string hex_of(std::span<const std::byte> data) {
  std::string text;
  text.reserve(data.size() * 2);
  for (const std::byte byte : data) fmt::format_to(std::back_inserter(text), "{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

}  // namespace

Passthru passthru_from(const PassthruOptions& options) {
  Passthru result;
  result.io = options.io;
  spec::Command& command = result.command;
  command.opcode = static_cast<std::uint8_t>(number("--opcode", options.opcode, 0xFF));
  command.flags = static_cast<std::uint8_t>(number("--flags", options.flags, 0xFF));
  command.nsid = number("--namespace-id", options.nsid);
  command.cdw2 = number("--cdw2", options.cdw2);
  command.cdw3 = number("--cdw3", options.cdw3);
  command.cdw10 = number("--cdw10", options.cdw10);
  command.cdw11 = number("--cdw11", options.cdw11);
  command.cdw12 = number("--cdw12", options.cdw12);
  command.cdw13 = number("--cdw13", options.cdw13);
  command.cdw14 = number("--cdw14", options.cdw14);
  command.cdw15 = number("--cdw15", options.cdw15);
  if (command.flags != 0 && (command.psdt() != spec::Psdt::prp || command.fuse() != spec::Fuse::none))
    throw Failure::usage("--flags: the data pointer's type is the transport's, and a fused command needs its pair");
  refuse_reserved(options.io, command.opcode);
  result.name = options.io ? spec::to_string(static_cast<spec::NvmOpcode>(command.opcode))
                           : spec::to_string(static_cast<spec::AdminOpcode>(command.opcode));
  result.direction = direction_of(options, command);
  if (!options.data_len.empty()) result.data_bytes = length(options.data_len);

  if (!options.input_file.empty()) {
    if (result.direction != spec::DataTransfer::host_to_controller)
      throw Failure::usage(fmt::format("--input-file: opcode {:#04x} sends no data", command.opcode));
    const bool given = !options.data_len.empty();
    result.data = read_all(options.input_file, given ? result.data_bytes : most_bytes);
    const std::size_t most = given ? result.data_bytes : most_bytes;
    if (result.data.size() > most)
      throw Failure::usage(fmt::format("{} holds more than {} bytes", options.input_file, most));
    if (!given) result.data_bytes = result.data.size();
    result.data.resize(result.data_bytes);
  } else if (result.direction == spec::DataTransfer::host_to_controller && result.data_bytes != 0) {
    throw Failure::usage("there is no data to send", "give --input-file FILE, or --input-file - for standard input");
  }
  if (result.direction == spec::DataTransfer::none && result.data_bytes != 0)
    throw Failure::usage(fmt::format("--data-len: opcode {:#04x} has no data", command.opcode));
  if (result.direction == spec::DataTransfer::both && result.data_bytes != 0)
    throw Failure::usage(fmt::format("opcode {:#04x} may move data either way", command.opcode),
                         "give --read or --write");
  return result;
}

void print_command(const Terminal& out, const Passthru& passthru) {
  const spec::Command& command = passthru.command;
  out.line(fmt::format("{:<12} {:02x} ({})", "opcode", command.opcode, passthru.name));
  const auto dword = [&](const char* name, std::uint32_t value) {
    out.line(fmt::format("{:<12} {:08x}", name, value));
  };
  out.line(fmt::format("{:<12} {:02x}", "flags", command.flags));
  dword("nsid", command.nsid);
  dword("cdw2", command.cdw2);
  dword("cdw3", command.cdw3);
  dword("cdw10", command.cdw10);
  dword("cdw11", command.cdw11);
  dword("cdw12", command.cdw12);
  dword("cdw13", command.cdw13);
  dword("cdw14", command.cdw14);
  dword("cdw15", command.cdw15);
  out.line(fmt::format("{:<12} {}", "data_len", passthru.data_bytes));
}

void print_hex(const Terminal& out, std::span<const std::byte> data) {
  for (std::size_t offset = 0; offset < data.size(); offset += 16) {
    const auto row = data.subspan(offset, std::min<std::size_t>(16, data.size() - offset));
    std::string hex;
    std::string text;
    for (const std::byte byte : row) {
      const auto value = std::to_integer<unsigned char>(byte);
      hex += fmt::format("{:02x} ", value);
      text += value >= 0x20 && value < 0x7F ? static_cast<char>(value) : '.';
    }
    out.line(fmt::format("{:04x}: {:<48}\"{}\"", offset, hex, text));
  }
}

void print_answer(const Terminal& out, const Passthru& passthru, const spec::Completion& completion,
                  std::span<const std::byte> data) {
  out.line(
      fmt::format("{}: {}, result {:#010x}", passthru.name, out.paint(Tone::ok, "success"), completion.dw0.value()));
  print_hex(out, data);
}

Json answer_json(const Passthru& passthru, const spec::Completion& completion, std::span<const std::byte> data) {
  Json json = {{"command", passthru.name},
               {"opcode", passthru.command.opcode},
               {"status", 0},
               {"result", completion.dw0.value()},
               {"result64", completion.dw0_1()}};
  if (!data.empty()) json["data"] = hex_of(data);
  return json;
}

}  // namespace spdkio::tool
