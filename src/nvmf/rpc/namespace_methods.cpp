// nvmf_subsystem_add_ns, nvmf_subsystem_remove_ns.
#include <spdkio/base/error.hpp>

#include "nvmf/rpc/rpc_support.hpp"

namespace spdkio::nvmf {
namespace {

struct NamespaceParams {
  std::uint32_t nsid = 0;
  std::string bdev_name;
  std::string nguid;
  std::string eui64;
  Uuid uuid{};
  std::uint32_t anagrpid = 0;
  std::string ptpl_file;
  bool no_auto_visible = false;
  bool hide_metadata = false;
  void fields(rpc::Params& p) {
    p.optional("nsid", &nsid, "Namespace id; 0: the lowest free one")
        .required("bdev_name", &bdev_name, "Block device")
        .optional("nguid", &nguid, "NGUID, 32 hexadecimal digits")
        .optional("eui64", &eui64, "EUI-64, 16 hexadecimal digits")
        .optional("uuid", &uuid, "UUID; the block device's when not given")
        .optional("anagrpid", &anagrpid, "Has no effect: ANA is not reported")
        .optional("ptpl_file", &ptpl_file, "Is not supported")
        .optional("no_auto_visible", &no_auto_visible, "Is not supported")
        .optional("hide_metadata", &hide_metadata, "Is not supported")
        .check(ptpl_file.empty(), "ptpl_file", "is not supported")
        .check(!no_auto_visible, "no_auto_visible", "is not supported")
        .check(!hide_metadata, "hide_metadata", "is not supported");
  }
};

struct AddNamespace {
  std::string nqn;
  NamespaceParams ns;
  std::string tgt_name;
  void fields(rpc::Params& p) {
    p.required("nqn", &nqn, "NQN of the subsystem")
        .required("namespace", &ns, "The namespace")
        .optional("tgt_name", &tgt_name, "Name of the target");
  }
};

struct RemoveNamespace {
  std::string nqn;
  std::uint32_t nsid = 0;
  std::string tgt_name;
  void fields(rpc::Params& p) {
    p.required("nqn", &nqn, "NQN of the subsystem")
        .required("nsid", &nsid, "Namespace id")
        .optional("tgt_name", &tgt_name, "Name of the target");
  }
};

Task<Json> add_namespace(AddNamespace params) {
  const Target target = co_await target_named(params.tgt_name);
  const Subsystem subsystem = subsystem_named(target, params.nqn);
  NamespaceOptions options;
  options.nsid = params.ns.nsid;
  options.uuid = params.ns.uuid;
  bytes_from_hex("nguid", params.ns.nguid, options.nguid);
  bytes_from_hex("eui64", params.ns.eui64, options.eui64);
  auto adding = subsystem.add_namespace(params.ns.bdev_name, options);
  const std::uint32_t nsid = co_await std::move(adding);
  co_return Json(nsid);
}

Task<Json> remove_namespace(RemoveNamespace params) {
  const Target target = co_await target_named(params.tgt_name);
  const Subsystem subsystem = subsystem_named(target, params.nqn);
  co_await subsystem.remove_namespace(params.nsid);
  co_return Json(true);
}

}  // namespace

void register_namespace_methods(rpc::MethodTable& table) {
  table.add<AddNamespace>("nvmf_subsystem_add_ns", "Show a block device as a namespace; gives its id", add_namespace);
  table.add<RemoveNamespace>("nvmf_subsystem_remove_ns", "Remove a namespace", remove_namespace);
}

}  // namespace spdkio::nvmf
