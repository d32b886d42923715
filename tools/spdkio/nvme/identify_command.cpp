
#include "spdkio/nvme/identify_command.hpp"

#include "spdkio/app/tool_app.hpp"
#include "spdkio/cli/help_page.hpp"
#include "spdkio/device/nvme_address.hpp"
#include "spdkio/nvme/host_flags.hpp"
#include "spdkio/nvme/identify_json.hpp"
#include "spdkio/nvme/identify_text.hpp"

#include <spdkio/app/app.hpp>
#include <spdkio/nvme/controller.hpp>

#include <memory>
#include <string>
#include <vector>

namespace spdkio::tool {
namespace {

struct IdentifyOptions {
  std::string controller;
  HostFlags host;
  bool json = false;
};

void print(const NvmeAddress& address, const nvme::Controller& controller, bool json, const Terminal& out) {
  std::vector<nvme::Namespace> namespaces;
  if (address.nsid) {
    namespaces.push_back(controller.ns(*address.nsid));
  } else {
    namespaces = controller.namespaces();
  }
  if (json) {
    Json result = {{"transport_id", controller.transport_id().to_string()},
                   {"controller", identify_json(*controller.identify())},
                   {"properties", properties_json(controller)},
                   {"namespaces", Json::array()}};
    for (const nvme::Namespace& ns : namespaces) result["namespaces"].push_back(namespace_json(*ns.info()));
    return out.line(rpc::dump_json(result, 2));
  }
  if (address.nsid) return print_namespace(out, *namespaces.front().info());
  print_controller(out, controller);
  if (controller.identify()->cntrltype == spec::ControllerType::discovery) return;
  out.line("");
  print_namespace_table(out, namespaces);
}

Task<> identify(const NvmeAddress& address, const IdentifyOptions& options, const Terminal& out) {
  auto connecting = nvme::Controller::connect(address.id, options.host.controller_options());
  nvme::Controller controller = co_await std::move(connecting);
  // Before the controller goes: its namespaces go with it.
  print(address, controller, options.json, out);
  auto detaching = controller.detach();
  co_await std::move(detaching);
}

ExitCode run(const IdentifyOptions& options, Session& session) {
  const NvmeAddress address = parse_nvme_address(options.controller);
  (void)options.host.controller_options();  // mistakes of the command line, before anything starts
  AppOptions app_options = tool_app_options(session, DevicePlan{});
  app_options.name = "identify";
  App::run_result(app_options, [&] { return identify(address, options, session.out); });
  return ExitCode::success;
}

}  // namespace

Command add_identify_command(CLI::App& root) {
  CLI::App* app = root.add_subcommand("identify", "Show what an NVMe controller and its namespaces are");
  auto options = std::make_shared<IdentifyOptions>();
  app->add_option("CONTROLLER", options->controller, "Transport id of the controller; ns:NUMBER shows one namespace")
      ->required()
      ->type_name("ID");
  add_host_flags(*app, options->host);
  app->add_flag("--json", options->json, "Write JSON with the specification's field names");
  add_help_sections(
      *app,
      {{"A subsystem on the network",
        "spdkio identify 'trtype:TCP traddr:192.0.2.7 trsvcid:4420 subnqn:nqn.2026-11.io.spdkio:target'"},
       {"One of its namespaces, in full",
        "spdkio identify 'trtype:TCP traddr:192.0.2.7 subnqn:nqn.2026-11.io.spdkio:target ns:1'"},
       {"A device that is bound to vfio-pci", "spdkio identify 'trtype:PCIe traddr:0000:01:00.0'"},
       {"One field of it", "spdkio identify --json 'trtype:PCIe traddr:0000:01:00.0' | jq .controller.mn"}},
      {{"JSON",
        "transport_id, controller (keys of nvme id-ctrl), properties (cap, vs and what follows from them),\n"
        "namespaces (nsid, uuid, keys of nvme id-ns). Flags and sizes are as in the data structures."}});
  return {app, [options](Session& session) { return run(*options, session); }};
}

}  // namespace spdkio::tool
