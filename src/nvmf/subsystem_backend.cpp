#include "nvmf/subsystem_backend.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "nvmf/target_backend.hpp"

namespace spdkio::nvmf {
namespace {

constexpr std::uint32_t most_namespaces = 1024;

}  // namespace

std::string_view to_string(SubsystemStatus status) noexcept {
  switch (status) {
    case SubsystemStatus::inactive: return "inactive";
    case SubsystemStatus::active: return "active";
    case SubsystemStatus::paused: return "paused";
    case SubsystemStatus::removed: return "removed";
  }
  return "unknown";
}

bool same_address(const nvme::TransportId& a, const nvme::TransportId& b) noexcept {
  return a.trtype == b.trtype && a.traddr == b.traddr && a.trsvcid == b.trsvcid;
}

SubsystemBackend::SubsystemBackend(const TargetBackend& owner, std::string nqn, const SubsystemOptions& options)
    : any_host_(options.allow_any_host),
      owner_(owner),
      nqn_(std::move(nqn)),
      discovery_(nqn_ == spec::fabrics::discovery_nqn),
      serial_number_(options.serial_number),
      model_number_(options.model_number),
      max_namespaces_(options.max_namespaces),
      min_cntlid_(options.min_cntlid),
      max_cntlid_(options.max_cntlid) {
  if (const std::string problem = spec::fabrics::nqn_problem(nqn_); !problem.empty()) {
    refuse(fmt::format("'{}' is no NQN: {}", nqn_, problem));
  }
  const auto check_text = [this](std::string_view name, std::string_view text, std::size_t longest) {
    const bool printable = std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7E; });
    if (!printable || text.size() > longest) {
      refuse(fmt::format("{} must be at most {} printable ASCII characters", name, longest));
    }
  };
  check_text("serial_number", serial_number_, 20);
  check_text("model_number", model_number_, 40);
  if (max_namespaces_ < 1 || max_namespaces_ > most_namespaces) {
    refuse(fmt::format("max_namespaces must be 1 to {}", most_namespaces));
  }
  if (min_cntlid_ < 1 || max_cntlid_ > 0xFFEF || min_cntlid_ > max_cntlid_) {
    refuse("min_cntlid and max_cntlid must be 1 to 65519, in that order");
  }
}

SubsystemBackend::~SubsystemBackend() = default;

void SubsystemBackend::refuse(std::string what) const {
  throw Error(Misuse::invalid_argument, std::move(what)).with_operation("nvmf subsystem").with_device(nqn_);
}

void SubsystemBackend::require_usable(const char* operation) const {
  // First: its target may have gone.
  if (status_ == SubsystemStatus::removed) {
    throw Error(std::errc::no_such_device, "the subsystem was destroyed").with_operation(operation).with_device(nqn_);
  }
  owner_.require_home(operation);
}

void SubsystemBackend::require_status(SubsystemStatus wanted, const char* operation) const {
  if (status_ == wanted) return;
  throw Error(std::errc::invalid_argument, fmt::format("the subsystem is {}", to_string(status_)))
      .with_operation(operation)
      .with_device(nqn_);
}

void SubsystemBackend::watch_failed(std::uint32_t nsid, const Error& error) const {
  const std::error_code code = error.code();
  if (code == std::errc::operation_canceled || code == std::errc::no_such_file_or_directory ||
      code == std::errc::no_such_device) {
    return;
  }
  log::error("nvmf: namespace {} of {}: {}", nsid, nqn_, error.what());
}

std::uint32_t SubsystemBackend::choose_nsid(std::uint32_t wanted, const std::set<std::uint32_t>& taken) const {
  std::uint32_t nsid = wanted;
  if (nsid == 0) {
    nsid = 1;
    while (taken.contains(nsid)) ++nsid;
  }
  if (nsid > max_namespaces_) {
    throw Error(std::errc::no_space_on_device,
                fmt::format("the subsystem has room for namespaces 1 to {}", max_namespaces_))
        .with_operation("add_namespace")
        .with_device(nqn_);
  }
  if (taken.contains(nsid)) {
    throw Error(std::errc::file_exists, fmt::format("namespace {} exists", nsid))
        .with_operation("add_namespace")
        .with_device(nqn_);
  }
  return nsid;
}

bool SubsystemBackend::listens_on(const nvme::TransportId& where) const noexcept {
  return std::ranges::any_of(listeners_, [&](const auto& each) { return same_address(each, where); });
}

void SubsystemBackend::require_new_listener(const nvme::TransportId& where) const {
  if (!listens_on(where)) return;
  throw Error(std::errc::file_exists, fmt::format("it listens on {} port {} already", where.traddr, where.trsvcid))
      .with_operation("add_listener")
      .with_device(nqn_);
}

nvme::TransportId SubsystemBackend::take_listener(const nvme::TransportId& where) {
  const auto found = std::ranges::find_if(listeners_, [&](const auto& each) { return same_address(each, where); });
  if (found == listeners_.end()) {
    throw Error(std::errc::no_such_file_or_directory,
                fmt::format("it does not listen on {} port {}", where.traddr, where.trsvcid))
        .with_operation("remove_listener")
        .with_device(nqn_);
  }
  nvme::TransportId taken = std::move(*found);
  listeners_.erase(found);
  return taken;
}

void SubsystemBackend::allow_any_host(bool allowed) {
  require_usable("allow_any_host");
  any_host_ = allowed;
  any_host_changed();
}

void SubsystemBackend::add_host(std::string hostnqn) {
  require_usable("add_host");
  if (const std::string problem = spec::fabrics::nqn_problem(hostnqn); !problem.empty()) {
    refuse(fmt::format("'{}' is no NQN: {}", hostnqn, problem));
  }
  if (!hosts_.insert(hostnqn).second) {
    throw Error(std::errc::file_exists, fmt::format("host {} is on the list", hostnqn))
        .with_operation("add_host")
        .with_device(nqn_);
  }
  host_added(hostnqn);
}

void SubsystemBackend::erase_host(const std::string& hostnqn) {
  if (hosts_.erase(hostnqn) != 0) return;
  throw Error(std::errc::no_such_file_or_directory, fmt::format("host {} is not on the list", hostnqn))
      .with_operation("remove_host")
      .with_device(nqn_);
}

}  // namespace spdkio::nvmf
