
#include "spdkio/bench/bench_command.hpp"
#include "spdkio/blob/blob_command.hpp"
#include "spdkio/cli/command.hpp"
#include "spdkio/completion/completion_command.hpp"
#include "spdkio/copy/copy_command.hpp"
#include "spdkio/doctor/doctor_command.hpp"
#include "spdkio/list/list_command.hpp"
#include "spdkio/nvme/discover_command.hpp"
#include "spdkio/nvme/identify_command.hpp"
#include "spdkio/nvme/nvme_command.hpp"
#include "spdkio/report/report_command.hpp"
#include "spdkio/rpc/rpc_command.hpp"
#include "spdkio/serve/serve_command.hpp"
#include "spdkio/top/top_command.hpp"
#include "spdkio/trace/trace_command.hpp"

namespace spdkio::tool {

std::span<const AddCommand> all_commands() {
  static constexpr AddCommand commands[] = {
      add_bench_command,    add_copy_command,     add_blob_command,   add_list_command,       add_serve_command,
      add_identify_command, add_discover_command, add_nvme_command,   add_top_command,        add_trace_command,
      add_report_command,   add_rpc_command,      add_doctor_command, add_completion_command,
  };
  return commands;
}

}  // namespace spdkio::tool
