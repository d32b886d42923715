#include "nvmf/rpc/rpc_support.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/nvmf/rpc.hpp>
#include <spdkio/rpc/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "nvmf/target_state.hpp"

namespace spdkio::nvmf {

GlobalSettings& global_settings() noexcept {
  static GlobalSettings settings;
  return settings;
}

Task<Target> make_target(std::string name, std::uint32_t max_subsystems) {
  if (Target::find(name) != nullptr) {
    throw Error(std::errc::file_exists, fmt::format("there is a target '{}' already", name));
  }
  TargetOptions options;
  options.name = name;
  options.max_subsystems = max_subsystems;
  auto state = std::make_shared<TargetState>(options);
  co_await TargetBackend::open_and_add(state, global_settings().poll_groups_mask);
  co_return Target(std::move(state), false);
}

Task<Target> target_named(std::string name) {
  const std::string wanted = name.empty() ? default_target_name : name;
  if (auto state = Target::find(wanted)) co_return Target(std::move(state), false);
  if (!name.empty() && name != default_target_name) {
    throw Error(std::errc::no_such_device, fmt::format("there is no target '{}'", name));
  }
  co_return co_await make_target(wanted, TargetOptions{}.max_subsystems);
}

Subsystem subsystem_named(const Target& target, const std::string& nqn) {
  auto found = target.find_subsystem(nqn);
  if (!found) throw Error(std::errc::no_such_file_or_directory, fmt::format("there is no subsystem '{}'", nqn));
  return *found;
}

void OneSubsystem::fields(rpc::Params& p) {
  p.required("nqn", &nqn, "NQN of the subsystem").optional("tgt_name", &tgt_name, "Name of the target");
}

void OneTarget::fields(rpc::Params& p) { p.optional("tgt_name", &tgt_name, "Name of the target"); }

void ListenAddress::fields(rpc::Params& p) {
  p.required("trtype", &trtype, "Transport type: TCP")
      .optional("adrfam", &adrfam, "IPv4 or IPv6")
      .required("traddr", &traddr, "Address to listen on")
      .optional("trsvcid", &trsvcid, "Port; 0: the kernel chooses");
}

nvme::TransportId ListenAddress::to_transport_id() const {
  std::string text = fmt::format("trtype:{} traddr:{}", trtype, traddr);
  if (!adrfam.empty()) text += fmt::format(" adrfam:{}", adrfam);
  if (!trsvcid.empty()) text += fmt::format(" trsvcid:{}", trsvcid);
  return nvme::TransportId::parse(text);
}

Json to_json(const nvme::TransportId& where) {
  return {{"trtype", to_string(where.trtype)},
          {"adrfam", to_string(where.adrfam)},
          {"traddr", where.traddr},
          {"trsvcid", where.trsvcid}};
}

void bytes_from_hex(const std::string& name, const std::string& text, std::span<std::uint8_t> bytes) {
  if (text.empty()) return;
  std::string digits;
  std::ranges::copy_if(text, std::back_inserter(digits), [](char c) { return c != '-'; });
  bool fits = digits.size() == 2 * bytes.size();
  for (std::size_t i = 0; fits && i < bytes.size(); ++i) {
    const char* const at = digits.data() + 2 * i;
    const auto [end, error] = std::from_chars(at, at + 2, bytes[i], 16);
    fits = error == std::errc{} && end == at + 2;
  }
  if (!fits) {
    throw Error(Misuse::invalid_argument, fmt::format("{} must have {} hexadecimal digits", name, 2 * bytes.size()));
  }
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02X}", byte);
  return text;
}

void register_methods(rpc::MethodTable& table) {
  register_target_methods(table);
  register_discovery_methods(table);
  register_subsystem_methods(table);
  register_namespace_methods(table);
  register_report_methods(table);
}

}  // namespace spdkio::nvmf
