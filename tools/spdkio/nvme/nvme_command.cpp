
#include "spdkio/nvme/nvme_command.hpp"

#include "spdkio/app/tool_app.hpp"
#include "spdkio/cli/help_page.hpp"
#include "spdkio/device/nvme_address.hpp"
#include "spdkio/nvme/host_flags.hpp"
#include "spdkio/nvme/passthru.hpp"

#include <spdkio/app/app.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/nvme/controller.hpp>
#include <spdkio/runtime/as_result.hpp>

#include <chrono>
#include <cstring>
#include <memory>
#include <string>

namespace spdkio::tool {
namespace {

constexpr const char* admin_word = "admin-passthru";
constexpr const char* io_word = "io-passthru";

struct NvmeFlags {
  std::string action;
  std::string controller;
  PassthruOptions passthru;
  HostFlags host;
  bool raw = false;
  bool dry_run = false;
  bool json = false;
};

Task<spec::Completion> send(nvme::Controller& controller, const Passthru& passthru, DmaSpan data) {
  if (!passthru.io) co_return co_await controller.admin(passthru.command, data);
  auto allocating = controller.alloc_io_qpair();
  nvme::Qpair qpair = co_await std::move(allocating);
  auto operation = qpair.execute(passthru.command, data);
  const auto done = co_await as_result(operation);
  auto closing = qpair.close();
  co_await std::move(closing);
  if (!done) throw done.error();
  co_return *done;
}

Task<> visit(const NvmeAddress& address, const NvmeFlags& flags, const Passthru& passthru, const Terminal& out) {
  nvme::ControllerOptions options = flags.host.controller_options();
  options.io_timeout = std::chrono::seconds{60};
  auto connecting = nvme::Controller::connect(address.id, options);
  nvme::Controller controller = co_await std::move(connecting);
  DmaBuf data;
  if (passthru.data_bytes != 0) {
    data = DmaBuf(passthru.data_bytes);
    data.fill(std::byte{0});
    if (!passthru.data.empty()) std::memcpy(data.data(), passthru.data.data(), passthru.data.size());
  }
  auto sending = send(controller, passthru, data);
  const auto answer = co_await as_result(std::move(sending));
  auto detaching = controller.detach();
  co_await std::move(detaching);
  if (!answer) throw answer.error();
  std::span<const std::byte> received = data.bytes();
  if (passthru.direction != spec::DataTransfer::controller_to_host) received = {};
  if (flags.json) {
    out.line(rpc::dump_json(answer_json(passthru, *answer, received), 2));
  } else if (flags.raw) {
    out.write({reinterpret_cast<const char*>(received.data()), received.size()});
  } else {
    print_answer(out, passthru, *answer, received);
  }
}

ExitCode run(const NvmeFlags& flags, Session& session) {
  NvmeAddress address = parse_nvme_address(flags.controller);
  PassthruOptions options = flags.passthru;
  options.io = flags.action == io_word;
  if (flags.raw && flags.json) throw Failure::usage("--raw-binary and --json exclude each other");
  if (address.nsid && options.nsid == "0") options.nsid = std::to_string(*address.nsid);
  const Passthru passthru = passthru_from(options);
  (void)flags.host.controller_options();  // mistakes of the command line, before anything starts
  if (flags.dry_run) {
    print_command(session.out, passthru);
    return ExitCode::success;
  }
  AppOptions app_options = tool_app_options(session, DevicePlan{});
  app_options.name = "nvme";
  App::run_result(app_options, [&] { return visit(address, flags, passthru, session.out); });
  return ExitCode::success;
}

}  // namespace

Command add_nvme_command(CLI::App& root) {
  CLI::App* app = root.add_subcommand("nvme", "Send a raw command to an NVMe controller, as nvme-cli does");
  auto flags = std::make_shared<NvmeFlags>();
  PassthruOptions& command = flags->passthru;
  app->add_option("ACTION", flags->action, "Which queue the command goes to")
      ->required()
      ->check(CLI::IsMember({admin_word, io_word}));
  app->add_option("CONTROLLER", flags->controller, "Transport id of the controller; ns:NUMBER sets the namespace")
      ->required()
      ->type_name("ID");
  app->add_option("-O,--opcode", command.opcode, "Opcode")->required()->type_name("N");
  app->add_option("-f,--flags", command.flags, "Command flags")->type_name("N");
  app->add_option("-n,--namespace-id,--nsid", command.nsid, "Namespace; 0xffffffff for all")->type_name("N");
  app->add_option("--cdw2", command.cdw2, "Command dword 2")->type_name("N");
  app->add_option("--cdw3", command.cdw3, "Command dword 3")->type_name("N");
  app->add_option("--cdw10", command.cdw10, "Command dword 10")->type_name("N");
  app->add_option("--cdw11", command.cdw11, "Command dword 11")->type_name("N");
  app->add_option("--cdw12", command.cdw12, "Command dword 12")->type_name("N");
  app->add_option("--cdw13", command.cdw13, "Command dword 13")->type_name("N");
  app->add_option("--cdw14", command.cdw14, "Command dword 14")->type_name("N");
  app->add_option("--cdw15", command.cdw15, "Command dword 15")->type_name("N");
  app->add_option("-l,--data-len", command.data_len, "Bytes that the command moves")->type_name("SIZE");
  app->add_option("-i,--input-file", command.input_file, "Data to send; - for standard input")->type_name("FILE");
  app->add_flag("-r,--read", command.read, "Data comes from the controller");
  app->add_flag("-w,--write", command.write, "Data goes to the controller");
  app->add_flag("-b,--raw-binary", flags->raw, "Write the data as it is, and nothing else");
  app->add_flag("-d,--dry-run", flags->dry_run, "Show the command instead of sending it");
  add_host_flags(*app, flags->host);
  app->add_flag("--json", flags->json, "Write JSON: command, opcode, status, result, data");
  add_help_sections(
      *app,
      {{"Identify Controller",
        "spdkio nvme admin-passthru 'trtype:PCIe traddr:0000:01:00.0' --opcode 0x06 --cdw10 1 "
        "--data-len 4096 --read"},
       {"Temperature threshold (Get Features 04h)",
        "spdkio nvme admin-passthru 'trtype:PCIe traddr:0000:01:00.0' --opcode 0x0a --cdw10 4"},
       {"The first block of a namespace, to a file",
        "spdkio nvme io-passthru 'trtype:TCP traddr:127.0.0.1 subnqn:nqn.2026-11.io.spdkio:target ns:1' --opcode 2 "
        "--data-len 512 --raw-binary > block"},
       {"A property of a Fabrics controller (Property Get of VS)",
        "spdkio nvme admin-passthru 'trtype:TCP traddr:127.0.0.1 subnqn:nqn.2026-11.io.spdkio:target' --opcode 0x7f "
        "--nsid 4 --cdw11 8"}},
      {{"Data",
        "The opcode says which way data goes; --read and --write state it, as nvme-cli wants it, and decide where an\n"
        "opcode may do both. Input that is shorter than --data-len is filled up with zeroes."},
       {"Exit status",
        "0  the controller answered with success\n"
        "1  it answered with an error, or can't be reached\n"
        "2  the command line cannot be right"}});
  return {app, [flags](Session& session) { return run(*flags, session); }};
}

}  // namespace spdkio::tool
